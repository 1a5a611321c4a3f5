-- grain: one row per data set, the newest first
SELECT dataset_id, spec_id, snapshot_id, created_at, path, manifest
FROM datasets
ORDER BY created_at DESC, dataset_id;
