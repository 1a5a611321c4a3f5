-- grain: one row per ticker and story, in the first session that could know of it
CREATE OR REPLACE TEMP TABLE news AS
WITH placed AS (
    SELECT
        a.ticker,
        l.exchange,
        c.position,
        h.headline_id,
        h.story_id,
        h.source,
        h.title,
        h.summary,
        h.published_at,
        h.available_at,
        h.availability
    FROM headline_tickers AS a
    JOIN listings AS l ON l.ticker = a.ticker
    JOIN headlines AS h ON h.headline_id = a.headline_id
    ASOF JOIN clock AS c ON l.exchange = c.exchange AND h.available_at < c.decision_ts
    -- What came before the calendar begins belongs to a session we do not have.
    WHERE h.available_at >= c.previous_decision_ts
), retold AS (
    SELECT DISTINCT story_id FROM placed WHERE story_id <> headline_id
)
SELECT * FROM placed ANTI JOIN retold USING (story_id)
UNION ALL
SELECT * FROM placed SEMI JOIN retold USING (story_id)
QUALIFY row_number() OVER (
    PARTITION BY ticker, story_id ORDER BY position, published_at, headline_id
) = 1;
