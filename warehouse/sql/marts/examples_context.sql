-- grain: one row per example, if the template asks for context at all
-- Numbers of finished sessions, in the vintages known at the decision, worded for the prompt.
CREATE OR REPLACE TEMP TABLE context AS
WITH asked AS (
    SELECT s.ticker, s.exchange, s.position, c.session, c.known_position, c.decision_ts
    FROM subjects AS s
    JOIN clock AS c ON c.exchange = s.exchange AND c.position = s.position
    WHERE $uses_context
), past AS (
    SELECT
        a.ticker,
        a.position,
        back.back,
        v.shares,
        v.close / lead(v.close) OVER (PARTITION BY a.ticker, a.position ORDER BY back.back) - 1
            AS day_return
    FROM asked AS a
    CROSS JOIN range($return_window + 1) AS back(back)
    LEFT JOIN price_vintages AS v
        ON v.ticker = a.ticker AND v.position = a.known_position - back.back
        AND a.decision_ts > v.known_from AND a.decision_ts <= v.known_until
), own AS (
    SELECT
        ticker,
        position,
        string_agg(
            coalesce(format('{:+.1f}%', 100 * day_return), '?'), ' ' ORDER BY back DESC
        ) FILTER (back < $return_window)                              AS returns,
        max(shares) FILTER (back = 0)
        / avg(shares ORDER BY back) FILTER (back > 0) - 1             AS volume_change
    FROM past
    GROUP BY ALL
), days AS (
    SELECT DISTINCT exchange, position, known_position, decision_ts FROM asked
), market AS (
    SELECT
        d.exchange,
        d.position,
        avg(last.close / before.close - 1 ORDER BY last.ticker) AS market_return
    FROM days AS d
    JOIN price_vintages AS last
        ON last.exchange = d.exchange AND last.position = d.known_position
        AND d.decision_ts > last.known_from AND d.decision_ts <= last.known_until
    JOIN price_vintages AS before
        ON before.ticker = last.ticker AND before.position = last.position - 1
        AND d.decision_ts > before.known_from AND d.decision_ts <= before.known_until
    GROUP BY ALL
), news_days AS (
    SELECT g.ticker, c.session
    FROM gathered AS g
    JOIN clock AS c ON c.exchange = g.exchange AND c.position = g.position
    WHERE g.headline_count >= $min_headlines AND $uses_context
    UNION
    SELECT ticker, session
    FROM examples
    WHERE spec_id = $spec_id AND session < $from_session AND len(headline_ids) > 0
        AND $uses_context
)
SELECT
    a.ticker,
    a.position,
    o.returns,
    format('{:+.0f}%', 100 * o.volume_change)    AS volume_change,
    format('{:+.1f}%', 100 * m.market_return)    AS market_return,
    date_diff('day', n.session, a.session)       AS days_since_news
FROM asked AS a
JOIN own AS o ON o.ticker = a.ticker AND o.position = a.position
LEFT JOIN market AS m ON m.exchange = a.exchange AND m.position = a.position
ASOF LEFT JOIN news_days AS n ON n.ticker = a.ticker AND n.session < a.session;
