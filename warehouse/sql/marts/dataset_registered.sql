-- grain: one row per data set of that id
SELECT dataset_id FROM datasets WHERE dataset_id = $dataset_id;
