-- grain: one row per telling of a story that a session before the scope has counted already
-- Only where the build begins after the start: the stories in scope are looked up in the history.
INSERT INTO retellings
WITH told AS (
    SELECT headline_id, story_id, available_at FROM headlines
    UNION ALL
    SELECT r.headline_id, h.story_id, r.available_at
    FROM headline_revisions AS r
    JOIN headlines AS h USING (headline_id)
), earlier AS (
    SELECT DISTINCT a.ticker, t.story_id
    FROM told AS t
    JOIN headline_tickers AS a USING (headline_id)
    WHERE t.available_at < (SELECT from_ts FROM scope)
        AND t.story_id IN (SELECT story_id FROM news)
)
SELECT n.ticker, n.headline_id, n.wording
FROM news AS n
JOIN earlier AS e USING (ticker, story_id);
