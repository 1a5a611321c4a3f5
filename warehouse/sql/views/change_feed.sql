-- grain: one row; kept_from: the first snapshot from which on every one is kept, up to the last
-- Changes are read from a first snapshot on, and only where none between is missing are they all of them:
-- the snapshot that a data set was built from is kept for good, the ones after it are not.
CREATE OR REPLACE TEMP VIEW change_feed AS
SELECT max(snapshot_id) AS kept_from
FROM (
    SELECT snapshot_id, lag(snapshot_id) OVER (ORDER BY snapshot_id) AS former
    FROM lake.snapshots()
)
WHERE former IS NULL OR former < snapshot_id - 1;
