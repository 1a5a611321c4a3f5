-- grain: one row, the newest data set or the one asked for (none if there is none)
SELECT dataset_id, path, manifest
FROM datasets
WHERE $dataset_id IS NULL OR dataset_id = $dataset_id
ORDER BY created_at DESC, dataset_id
LIMIT 1;
