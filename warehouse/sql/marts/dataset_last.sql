-- grain: one row per data set
SELECT dataset_id, spec_id, snapshot_id, created_at, path, manifest
FROM datasets
WHERE dataset_id = $dataset_id;
