-- grain: one row per example that planted news may rightly move
-- The first decision of its ticker strictly after it was available, and the next, whose distance to
-- earlier news changes. Edits of what was shown and retellings may move none.
INSERT INTO disturbed
WITH decided AS (
    SELECT ticker, example_id, decision_ts FROM full_examples
    UNION
    SELECT ticker, example_id, decision_ts FROM fresh_examples
)
SELECT DISTINCT example_id
FROM (
    SELECT d.example_id
    FROM plants AS p
    JOIN decided AS d ON d.ticker = p.ticker AND d.decision_ts > p.available_at
    WHERE p.kind NOT IN ('edit', 'retelling')
    QUALIFY row_number() OVER (PARTITION BY p.plant_id ORDER BY d.decision_ts) <= 2
);
