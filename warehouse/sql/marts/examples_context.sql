-- grain: one row per example, if the template asks for context at all
-- Numbers of finished sessions, in the vintages known at the decision, worded for the prompt.
CREATE OR REPLACE TEMP TABLE context AS
WITH asked AS (
    SELECT
        g.cell,
        l.exchange,
        l.number,
        c.position,
        c.session,
        c.decision_ts,
        c.known_position,
        g.cell - c.position + c.known_position AS known_cell
    FROM gathered AS g
    JOIN listings AS l ON l.number = g.cell // 1000000
    JOIN clock AS c ON c.exchange = l.exchange AND c.position = g.cell % 1000000
    WHERE $uses_context
), past AS (
    SELECT
        a.cell,
        back.back,
        v.shares,
        v.close / lead(v.close) OVER (PARTITION BY a.cell ORDER BY back.back) - 1 AS day_return
    FROM asked AS a
    CROSS JOIN range($return_window + 1) AS back(back)
    LEFT JOIN price_vintages AS v
        ON v.cell = a.known_cell - back.back
        AND a.decision_ts > v.known_from AND a.decision_ts <= v.known_until
), own AS (
    SELECT
        cell,
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
        avg(last.close / before.close - 1 ORDER BY last.cell) AS market_return
    FROM days AS d
    JOIN listings AS l ON l.exchange = d.exchange
    JOIN price_vintages AS last
        ON last.cell = l.number * 1000000 + d.known_position
        AND d.decision_ts > last.known_from AND d.decision_ts <= last.known_until
    JOIN price_vintages AS before
        ON before.cell = last.cell - 1
        AND d.decision_ts > before.known_from AND d.decision_ts <= before.known_until
    GROUP BY ALL
)
SELECT
    a.cell,
    o.returns,
    format('{:+.0f}%', 100 * o.volume_change)    AS volume_change,
    format('{:+.1f}%', 100 * m.market_return)    AS market_return,
    date_diff('day', n.session, a.session)       AS days_since_news
FROM asked AS a
JOIN own AS o ON o.cell = a.cell
LEFT JOIN market AS m ON m.exchange = a.exchange AND m.position = a.position
ASOF LEFT JOIN news_days AS n ON n.number = a.number AND n.session < a.session;
