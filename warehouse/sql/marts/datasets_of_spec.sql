-- grain: one row per data set whose examples follow one spec
SELECT dataset_id
FROM datasets
WHERE spec_id = $spec_id
ORDER BY created_at DESC, dataset_id;
