-- grain: one row per data set
SELECT dataset_id, path, manifest
FROM datasets
ORDER BY dataset_id;
