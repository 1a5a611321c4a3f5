-- grain: one row per forward prediction, plus one per example for each simple rule it is held against
-- Kept as the temporary table site_scored for the other site_ queries of the same connection.
-- state: scored | waiting (no outcome yet) | unlabelled (over without an outcome) | late (made after the
-- label window opened: shown, never scored) | repeated (a later one by the same predictor: likewise).
CREATE OR REPLACE TEMP TABLE site_scored AS
WITH forward AS (
    SELECT
        predictions.predictor,
        predictions.model_id,
        predictions.example_id,
        predictions.spec_id,
        predictions.ticker,
        predictions.session,
        predictions.p_up,
        predictions.predicted_at,
        examples.label,
        examples.previous_return,
        len(coalesce(predictions.headline_ids, examples.headline_ids)) AS headlines,
        coalesce(predictions.input_sha256 <> sha256(examples.input), false) AS rewritten,
        predictions.predicted_at < examples.label_start_ts AS timely,
        row_number() OVER (
            PARTITION BY predictions.predictor, predictions.spec_id, predictions.example_id
            ORDER BY predictions.predicted_at, predictions.prediction_id
        ) AS turn,
        examples.label_end_ts <= $now AS over
    FROM predictions
    JOIN examples USING (spec_id, example_id)
    WHERE predictions.kind = 'forward'
),
-- Rules that need no model are held against the same examples, unless they predicted themselves.
rules AS (
    SELECT DISTINCT
        unnest(['always_up', 'previous_direction']) AS predictor,
        CAST(NULL AS VARCHAR) AS model_id,
        example_id, spec_id, ticker, session, previous_return, label, over
    FROM forward
    WHERE timely
),
everyone AS (
    SELECT
        predictor, model_id, example_id, spec_id, ticker, session, p_up, predicted_at, label,
        headlines, rewritten, timely, turn, over
    FROM forward
    UNION ALL
    SELECT
        predictor, model_id, example_id, spec_id, ticker, session,
        CASE WHEN predictor = 'always_up' OR previous_return > 0 THEN 1.0 ELSE 0.0 END,
        NULL, label, NULL, false, true, 1, over
    FROM rules
    WHERE predictor NOT IN (SELECT predictor FROM forward)
)
SELECT
    predictor, model_id, example_id, spec_id, ticker, session, p_up, predicted_at, label, headlines,
    rewritten,
    CAST(label = 'up' AS INTEGER) AS went_up,
    CAST((p_up >= 0.5) = (label = 'up') AS INTEGER) AS correct,
    CASE
        WHEN NOT timely THEN 'late'
        WHEN turn > 1 THEN 'repeated'
        WHEN label IS NOT NULL AND over THEN 'scored'
        WHEN over THEN 'unlabelled'
        ELSE 'waiting'
    END AS state
FROM everyone;
