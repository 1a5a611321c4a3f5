-- grain: one row per snapshot that may be forgotten
-- Kept: those younger than $older_than, the last one, the ones that data sets were built from (and
-- with them every model, evaluation and prediction, which name a data set), and the ones that
-- examples have followed the warehouse to.
WITH needed AS (
    SELECT snapshot_id FROM datasets
    UNION ALL
    SELECT snapshot_id FROM example_builds
    UNION ALL
    SELECT id FROM lake.current_snapshot()
)
SELECT s.snapshot_id
FROM lake.snapshots() AS s
WHERE s.snapshot_time < $older_than
    AND s.snapshot_id NOT IN (SELECT snapshot_id FROM needed)
ORDER BY s.snapshot_id;
