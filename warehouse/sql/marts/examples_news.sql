-- grain: one row per headline, wording and ticker, at the first session decided strictly after it
-- The session is looked up by the UTC day: at most one decision falls on a day.
CREATE OR REPLACE TEMP TABLE news AS
WITH told AS (
    SELECT headline_id, story_id, source, title, summary, published_at, available_at, availability,
        1 AS wording
    FROM headlines
    UNION ALL
    -- What a headline said before it was edited was known first.
    SELECT r.headline_id, h.story_id, h.source, r.title, r.summary, r.published_at, r.available_at,
        h.availability, -r.revision
    FROM headline_revisions AS r
    JOIN headlines AS h USING (headline_id)
), about AS MATERIALIZED (
    -- Before the calendar comes in: joined first to a ticker's exchange, it would meet every day.
    SELECT a.ticker, l.exchange, epoch_us(t.available_at) // 86400000000 AS day, t.*
    FROM headline_tickers AS a
    JOIN listings AS l ON l.ticker = a.ticker AND l.is_subject
    JOIN told AS t ON t.headline_id = a.headline_id
    WHERE t.available_at >= (SELECT from_ts FROM scope)
)
SELECT
    t.* EXCLUDE (day),
    d.position + CASE WHEN t.available_at < d.decision_ts THEN 0 ELSE 1 END AS position
FROM about AS t
JOIN clock_days AS d ON d.exchange = t.exchange AND d.day = t.day;

-- Tellings that do not count: not the first of their story for the ticker, in the first session.
CREATE OR REPLACE TEMP TABLE retellings AS
SELECT ticker, headline_id, wording
FROM news
WHERE story_id IN (SELECT story_id FROM news WHERE story_id <> headline_id OR wording < 0)
QUALIFY row_number() OVER (
    PARTITION BY ticker, story_id ORDER BY position, published_at, headline_id, available_at
) > 1;
