-- grain: one row per split, slice, predictor and metric evaluated on data set $dataset_id
-- A predictor that several models share is shown by its latest model.
SELECT
    split, slice, predictor, model_id, metric, value, ci_low, ci_high,
    n_examples, n_sessions, evaluated_at
FROM evaluations
WHERE dataset_id = $dataset_id
QUALIFY model_id IS NOT DISTINCT FROM arg_max(model_id, evaluated_at) OVER (PARTITION BY split, predictor)
ORDER BY split, slice, predictor, metric;
