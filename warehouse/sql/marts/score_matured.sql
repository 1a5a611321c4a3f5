-- grain: one row per predictor and example whose outcome is known at $now: its first committed prediction
SELECT
    predictions.predictor,
    predictions.model_id,
    predictions.spec_id,
    predictions.example_id,
    predictions.ticker,
    predictions.session,
    predictions.predicted_at,
    predictions.p_up,
    examples.label = 'up' AS label_up,
    examples.label_return,
    examples.previous_return,
    examples.availability
FROM predictions
INNER JOIN examples
    ON examples.spec_id = predictions.spec_id
    AND examples.example_id = predictions.example_id
WHERE predictions.kind = 'forward'
    AND predictions.spec_id = $spec_id
    AND predictions.predicted_at < examples.label_start_ts
    AND examples.label IS NOT NULL
    AND examples.label_end_ts <= $now
QUALIFY row_number() OVER (
    PARTITION BY predictions.predictor, predictions.example_id
    ORDER BY predictions.predicted_at, predictions.prediction_id
) = 1
ORDER BY predictions.session, predictions.ticker, predictions.example_id, predictions.predictor;
