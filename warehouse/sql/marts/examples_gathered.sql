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
GROUP BY ALL;

-- Every example there will be, with or without news.
CREATE OR REPLACE TEMP TABLE subjects AS
SELECT ticker, exchange, position FROM gathered WHERE headline_count >= $min_headlines
UNION
SELECT l.ticker, l.exchange, l.position
FROM labels AS l
JOIN listings USING (ticker)
WHERE $min_headlines = 0 AND is_subject;

-- How many headlines an example may show where the token budget has cut it down.
CREATE OR REPLACE TEMP TABLE allowances (ticker VARCHAR, position BIGINT, allowed BIGINT);
