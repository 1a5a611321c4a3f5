-- grain: one row per forward prediction; those that count are one per record and example
-- record_id: whose record it belongs to, the model's id or the predictor's name where there is no model. The name
-- a model predicted under is no part of it, so a promotion moves no record.
-- call: up | down | no call, where P(up) is nearer to one half than the model's evaluation asks of a call (of a model
-- without one, and of a baseline, every lean is a call).
-- timely: made before its label window opened. counts: the first timely one of its record and example.
CREATE OR REPLACE TEMP VIEW forward_record AS
SELECT
    coalesce(predictions.model_id, predictions.predictor) AS record_id,
    predictions.* EXCLUDE (kind),
    coalesce(predictions.headline_ids, examples.headline_ids) AS seen_ids,
    examples.label_start_ts,
    examples.label_end_ts,
    examples.label,
    examples.label_reason,
    examples.label_return,
    examples.previous_return,
    examples.availability,
    coalesce(predictions.input_sha256 <> sha256(examples.input), false) AS rewritten,
    predictions.predicted_at < examples.label_start_ts AS timely,
    timely AND row_number() OVER (
        PARTITION BY coalesce(predictions.model_id, predictions.predictor), predictions.spec_id,
            predictions.example_id
        ORDER BY predictions.predicted_at, predictions.prediction_id
    ) = 1 AS counts,
    call_of(predictions.p_up, call_thresholds.model_id IS NOT NULL, call_thresholds.threshold) AS call
FROM predictions
INNER JOIN examples USING (spec_id, example_id)
LEFT JOIN call_thresholds ON call_thresholds.model_id = predictions.model_id
WHERE predictions.kind = 'forward';
