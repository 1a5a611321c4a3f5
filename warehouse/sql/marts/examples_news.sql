-- grain: one row per ticker and story, in the first session that could know of it
CREATE OR REPLACE TEMP TABLE news AS
WITH scope AS (
    SELECT min(previous_decision_ts) AS from_ts FROM clock WHERE session >= $from_session
), told AS (
    SELECT headline_id, story_id, source, title, summary, published_at, available_at, availability,
        false AS is_former
    FROM headlines
    UNION ALL
    -- What a headline said before it was edited was known first.
    SELECT r.headline_id, h.story_id, h.source, r.title, r.summary, r.published_at, r.available_at,
        h.availability, true
    FROM headline_revisions AS r
    JOIN headlines AS h USING (headline_id)
), placed AS (
    SELECT a.ticker, l.exchange, c.session, c.position, t.*
    FROM headline_tickers AS a
    JOIN listings AS l ON l.ticker = a.ticker AND l.is_subject
    JOIN told AS t ON t.headline_id = a.headline_id
    ASOF JOIN clock AS c ON l.exchange = c.exchange AND t.available_at < c.decision_ts
    -- What came before the calendar begins belongs to a session we do not have.
    WHERE t.available_at >= (SELECT from_ts FROM scope) AND t.available_at >= c.previous_decision_ts
), retold AS (
    SELECT DISTINCT story_id FROM placed WHERE story_id <> headline_id OR is_former
), counted AS (
    SELECT * FROM placed ANTI JOIN retold USING (story_id)
    UNION ALL
    SELECT * FROM placed SEMI JOIN retold USING (story_id)
    QUALIFY row_number() OVER (
        PARTITION BY ticker, story_id ORDER BY session, published_at, headline_id, available_at
    ) = 1
), earlier AS (
    SELECT a.ticker, t.story_id
    FROM told AS t
    JOIN headline_tickers AS a USING (headline_id)
    WHERE t.available_at < (SELECT from_ts FROM scope)
        AND t.story_id IN (SELECT story_id FROM placed)
)
SELECT * EXCLUDE (is_former)
FROM counted
ANTI JOIN earlier USING (ticker, story_id)
WHERE session >= $from_session;
