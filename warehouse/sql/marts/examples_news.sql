-- grain: one row per ticker and story, in the first session that could know of it
CREATE OR REPLACE TEMP TABLE news AS
WITH told AS (
    SELECT
        a.ticker,
        l.exchange,
        h.headline_id,
        h.story_id,
        h.source,
        h.title,
        h.summary,
        h.published_at,
        h.available_at,
        h.availability
    FROM headline_tickers AS a
    JOIN headlines AS h USING (headline_id)
    JOIN listings AS l ON l.ticker = a.ticker
), placed AS (
    SELECT t.*, c.session, c.position
    FROM told AS t
    ASOF JOIN clock AS c ON t.exchange = c.exchange AND t.available_at < c.decision_ts
    -- What came before the calendar begins belongs to a session we do not have.
    WHERE t.available_at >= c.previous_decision_ts
)
SELECT *
FROM placed
QUALIFY row_number() OVER (
    PARTITION BY ticker, story_id ORDER BY position, published_at, headline_id
) = 1;
