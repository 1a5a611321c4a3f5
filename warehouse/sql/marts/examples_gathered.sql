-- grain: one row per ticker and session that had news
CREATE OR REPLACE TEMP TABLE gathered AS
SELECT
    ticker,
    exchange,
    position,
    count(*)                            AS headline_count,
    max(available_at)                   AS news_available_at,
    bool_and(availability = 'observed') AS observed,
    -- The latest ones, latest first; published_at and headline_id stand first and so decide.
    max(
        {
            published_at: published_at,
            headline_id: headline_id,
            story_id: story_id,
            title: title,
            source: source,
            summary: coalesce(summary, '')
        },
        $max_headlines
    )                                   AS latest
FROM news
ANTI JOIN retellings USING (ticker, headline_id, wording)
GROUP BY ALL;

-- Every example there will be: with enough news, or, if none is asked for, every session from a
-- ticker's first bar to one past the exchange's last.
CREATE OR REPLACE TEMP TABLE subjects AS
SELECT ticker, exchange, position FROM gathered WHERE headline_count >= $min_headlines
UNION
SELECT e.ticker, e.exchange, c.position
FROM ends AS e
JOIN listings AS l ON l.ticker = e.ticker AND l.is_subject
JOIN clock AS c
    ON c.exchange = e.exchange
    AND c.session >= e.first_session AND c.position <= e.last_position + 1
WHERE $min_headlines = 0;

DELETE FROM subjects
WHERE (exchange, position) IN (SELECT (exchange, position) FROM clock WHERE session < $from_session);

-- How many headlines an example may show where the token budget has cut it down.
CREATE OR REPLACE TEMP TABLE allowances (ticker VARCHAR, position BIGINT, allowed BIGINT);
