-- grain: one row per predictor (or model), data set and example of kind backtest (merged into predictions)
-- A repeated scoring with equal probabilities keeps its first predicted_at and changes nothing.
MERGE INTO predictions AS stored
USING (
    SELECT
        sha256(concat_ws('|', 'backtest', predictor, model_id, dataset_id, spec_id, example_id))
            AS prediction_id,
        'backtest' AS kind,
        *
    FROM incoming_predictions
) AS incoming
ON stored.prediction_id = incoming.prediction_id
    AND stored.kind = 'backtest'
WHEN MATCHED AND stored.p_up IS DISTINCT FROM incoming.p_up THEN UPDATE SET
    p_up = incoming.p_up,
    predicted_at = incoming.predicted_at
WHEN NOT MATCHED THEN INSERT BY NAME;
