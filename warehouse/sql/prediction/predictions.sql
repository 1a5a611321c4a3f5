-- Predictions: the back-test, and the forward ones that are never changed.


-- name: prediction_backtest
-- writes: predictions (prediction_id) of kind backtest, idempotent
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


-- name: prediction_forward
-- writes: predictions (prediction_id) of kind forward, idempotent
-- grain: one row per incoming forward prediction, with its fate
-- fate: added | repeated | late | backdated | already committed. Only `added` ones are written; none is
-- ever updated.
CREATE OR REPLACE TEMP TABLE forward_incoming AS
WITH identified AS (
    SELECT
        sha256(concat_ws('|', 'forward', predictor, coalesce(model_id, ''), spec_id, example_id))
            AS prediction_id,
        *
    FROM incoming_predictions
), last_seal AS (
    SELECT max(sealed_at) AS sealed_at
    FROM seals
)
SELECT
    identified.*,
    CASE
        WHEN stored.prediction_id IS NOT NULL
            THEN if(stored.p_up = identified.p_up, 'repeated', 'already committed')
        WHEN identified.predicted_at >= identified.label_start_ts THEN 'late'
        WHEN identified.predicted_at < last_seal.sealed_at THEN 'backdated'
        ELSE 'added'
    END AS fate
FROM identified
CROSS JOIN last_seal
LEFT JOIN predictions AS stored
    ON stored.prediction_id = identified.prediction_id
    AND stored.kind = 'forward';

INSERT INTO predictions BY NAME
SELECT
    prediction_id,
    'forward' AS kind,
    predictor,
    model_id,
    dataset_id,
    spec_id,
    example_id,
    ticker,
    session,
    decision_ts,
    p_up,
    predicted_at,
    headline_ids,
    sha256(input) AS input_sha256
FROM forward_incoming
WHERE fate = 'added';

SELECT predictor, model_id, example_id, ticker, session, predicted_at, label_start_ts, fate
FROM forward_incoming
ORDER BY predictor, session, ticker, example_id;


-- name: prediction_rows
-- grain: one row per prediction of the kind and data set asked for
SELECT *
FROM predictions
WHERE kind = $kind
    AND dataset_id = $dataset_id
ORDER BY predictor, model_id NULLS FIRST, session, ticker, example_id;


-- name: prediction_upcoming
-- grain: one row per ticker with an example in the next session that has not started at $now
SELECT
    spec_id,
    example_id,
    ticker,
    session,
    decision_ts,
    label_start_ts,
    previous_return,
    headline_ids,
    input
FROM examples
WHERE spec_id = $spec_id
    AND label_start_ts > $now
    AND max_input_available_at <= $now
QUALIFY session = min(session) OVER ()
ORDER BY ticker, example_id;


-- name: score_matured
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


-- name: score_pending
-- grain: one row per predictor and reason why forward predictions have no outcome yet at $now
SELECT
    predictions.predictor,
    CASE
        WHEN examples.label_end_ts IS NULL THEN 'example no longer stored'
        WHEN examples.label_end_ts > $now THEN 'session not finished'
        ELSE examples.label_reason
    END AS reason,
    count(*) AS n
FROM predictions
LEFT JOIN examples
    ON examples.spec_id = predictions.spec_id
    AND examples.example_id = predictions.example_id
WHERE predictions.kind = 'forward'
    AND predictions.spec_id = $spec_id
    AND (examples.label IS NULL OR examples.label_end_ts > $now)
GROUP BY ALL
ORDER BY ALL;
