-- grain: one row per telling that does not count: not the first of its story for the ticker
-- Stories of which a telling is available from $from_ts on are looked at, through all their history.
-- wording is 1 for what a headline says now, and negative for what it said before it was edited.
CREATE OR REPLACE TEMP TABLE touched_stories AS
WITH recent AS (
    SELECT story_id FROM headlines WHERE available_at >= $from_ts
    UNION
    SELECT h.story_id
    FROM headline_revisions AS r
    JOIN headlines AS h USING (headline_id)
    WHERE r.available_at >= $from_ts
)
SELECT headline_id, story_id, source, availability, published_at, available_at
FROM headlines
WHERE NOT $whole AND story_id IN (SELECT story_id FROM recent);

CREATE OR REPLACE TEMP TABLE retold AS
WITH current AS NOT MATERIALIZED (
    SELECT * FROM touched_stories
    UNION ALL
    SELECT headline_id, story_id, source, availability, published_at, available_at
    FROM headlines
    WHERE $whole
), told AS NOT MATERIALIZED (
    SELECT *, 1 AS wording FROM current
    UNION ALL
    SELECT r.headline_id, h.story_id, h.source, h.availability, r.published_at, r.available_at,
        -r.revision
    FROM headline_revisions AS r
    JOIN current AS h USING (headline_id)
)
-- Only a story with another telling than its own headline can be told twice.
SELECT *
FROM told
WHERE story_id IN (SELECT story_id FROM told WHERE story_id <> headline_id OR wording < 0);

-- Whom these and the headlines to be placed speak of, found in one reading of a long table.
CREATE OR REPLACE TEMP TABLE touched_subjects AS
SELECT headline_id, ticker
FROM headline_tickers
WHERE NOT $whole AND headline_id IN (
    SELECT headline_id FROM touched_stories
    UNION
    SELECT headline_id FROM headline_revisions WHERE available_at >= $from_ts
);

CREATE OR REPLACE TEMP TABLE retellings AS
WITH subjects AS NOT MATERIALIZED (
    SELECT headline_id, ticker FROM touched_subjects
    UNION ALL
    SELECT headline_id, ticker FROM headline_tickers WHERE $whole
), placed AS (
    SELECT
        l.number,
        t.*,
        d.position + CASE WHEN t.available_at < d.decision_ts THEN 0 ELSE 1 END AS position
    FROM retold AS t
    JOIN subjects AS a ON a.headline_id = t.headline_id
    JOIN listings AS l ON l.ticker = a.ticker AND l.is_subject
    JOIN clock_days AS d ON d.exchange = l.exchange AND d.day = utc_day(t.available_at)
)
SELECT number, headline_id, wording
FROM placed
QUALIFY row_number() OVER (
    PARTITION BY number, story_id ORDER BY position, published_at, headline_id, available_at
) > 1;

-- The sessions before the build with news of a ticker, as far as they are stored.
CREATE OR REPLACE TEMP TABLE news_days AS
SELECT l.number, e.session
FROM examples AS e
JOIN listings AS l USING (ticker)
WHERE e.spec_id = $spec_id AND e.session < $from_session AND len(e.headline_ids) > 0
    AND $uses_context;
