-- grain: one row per predictor and labelled example of the backtest on data set $dataset_id
-- A predictor that several models share is shown by its latest model.
SELECT
    predictor,
    predictions.session,
    p_up,
    label_return
FROM predictions
JOIN examples USING (spec_id, example_id)
WHERE dataset_id = $dataset_id
    AND kind = 'backtest'
    AND label IS NOT NULL
    AND label_return IS NOT NULL
QUALIFY model_id IS NOT DISTINCT FROM arg_max(model_id, predicted_at) OVER (PARTITION BY predictor)
ORDER BY predictor, session, example_id;
