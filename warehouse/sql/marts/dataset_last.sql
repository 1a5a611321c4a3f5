-- grain: one row, the latest data set of the specification, if there is one
-- changed_from: the first session of which an example has changed since it was read; NULL if none
-- has, and the earliest date of all if the changes since are no longer kept.
WITH latest AS (
    SELECT dataset_id, snapshot_id, path, manifest
    FROM datasets
    WHERE spec_digest = $spec_digest
    ORDER BY snapshot_id DESC, created_at DESC, dataset_id
    LIMIT 1
)
SELECT
    l.*,
    l.snapshot_id + 1 >= (SELECT min(s.snapshot_id) FROM lake.snapshots() AS s) AS is_followable
FROM latest AS l;
