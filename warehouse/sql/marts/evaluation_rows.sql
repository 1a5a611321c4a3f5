-- grain: one row per data set, split, slice, predictor, model and metric
SELECT *
FROM evaluations
WHERE dataset_id = $dataset_id
    AND split = $split
ORDER BY slice, predictor, model_id NULLS FIRST, metric;
