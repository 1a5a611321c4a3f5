-- grain: one row per prediction of the kind and data set asked for
SELECT *
FROM predictions
WHERE kind = $kind
    AND dataset_id = $dataset_id
ORDER BY predictor, model_id NULLS FIRST, session, ticker, example_id;
