-- Predictions: the back-test, and the forward ones that are never changed.


-- name: prediction_backtest
-- writes: predictions (prediction_id) of kind $kind, idempotent
-- grain: one row per predictor (or model), data set and example of that kind (merged into predictions)
-- $kind: backtest or recall, both made when the outcome is known.
-- A repeated scoring with equal probabilities keeps its first predicted_at and changes nothing.
MERGE INTO predictions AS stored
USING (
    SELECT
        sha256(concat_ws('|', $kind, predictor, model_id, dataset_id, spec_id, example_id))
            AS prediction_id,
        $kind AS kind,
        *
    FROM incoming_predictions
) AS incoming
ON stored.prediction_id = incoming.prediction_id
    AND stored.kind = $kind
WHEN MATCHED AND stored.p_up IS DISTINCT FROM incoming.p_up THEN UPDATE SET
    p_up = incoming.p_up,
    predicted_at = incoming.predicted_at
WHEN NOT MATCHED THEN INSERT BY NAME;


-- name: prediction_forward
-- writes: predictions (prediction_id) of kind forward, idempotent
-- grain: one row per incoming forward prediction, with what became of it
-- status: added | repeated | late | backdated | already committed. Only `added` ones are written; none is
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
    END AS status
FROM identified
CROSS JOIN last_seal
LEFT JOIN predictions AS stored
    ON stored.prediction_id = identified.prediction_id
    AND stored.kind = 'forward';

INSERT INTO predictions BY NAME
SELECT
    prediction_id,
    'forward' AS kind,
    predictor, model_id, dataset_id, spec_id, example_id, ticker, session, decision_ts, p_up,
    predicted_at, headline_ids,
    sha256(input) AS input_sha256
FROM forward_incoming
WHERE status = 'added';

SELECT predictor, model_id, example_id, ticker, session, predicted_at, label_start_ts, status
FROM forward_incoming
ORDER BY predictor, session, ticker, example_id;


-- name: prediction_rows
-- grain: one row per prediction of the kind and data set asked for
SELECT *
FROM predictions
WHERE kind = $kind
    AND dataset_id = $dataset_id
ORDER BY predictor, model_id NULLS FIRST, session, ticker, example_id;


-- name: recall_prompts
-- grain: one row per wanted example, in the order wanted: the question about it without news
SELECT
    examples.example_id,
    format($template, examples.ticker, examples.session::VARCHAR) AS input,
    examples.label = 'up' AS label_up
FROM wanted_examples AS wanted
INNER JOIN examples
    ON examples.example_id = wanted.example_id
    AND examples.spec_id = $spec_id
ORDER BY wanted.position;


-- name: prediction_upcoming
-- feeds: predictions
-- grain: one row per ticker with an example in the next session that has not started at $now
SELECT
    spec_id, example_id, ticker, session, decision_ts, label_start_ts, previous_return,
    headline_ids, input, features
FROM examples
WHERE spec_id = $spec_id
    AND label_start_ts > $now
    AND max_input_available_at <= $now
QUALIFY session = min(session) OVER ()
ORDER BY ticker, example_id;


-- name: forward_states
-- grain: one row per forward prediction, plus one per example for each rule it is held against
-- $spec_id: of these examples only (NULL: of all). predictor: the record_id of forward_record.
-- state: scored | waiting (no outcome yet at $now) | unlabelled (over without an outcome) | late (made after
-- the label window opened) | repeated (a later one of the same record). Only `scored` ones enter a statistic.
-- Rules need no model and no fit; rule: whether the row is one's.
WITH predicted AS (
    SELECT *, false AS rule
    FROM forward_record
    WHERE $spec_id IS NULL OR spec_id = $spec_id
), rules AS (
    SELECT DISTINCT
        unnest(['always_up', 'previous_direction']) AS record_id,
        spec_id, example_id, ticker, session, label_start_ts, label_end_ts, label, previous_return, availability,
        true AS timely, true AS counts, true AS rule
    FROM predicted
    WHERE timely
), forward AS (
    SELECT * FROM predicted
    UNION ALL BY NAME
    SELECT *, if(record_id = 'always_up' OR previous_return > 0, 1.0, 0.0) AS p_up
    FROM rules
    WHERE record_id NOT IN (SELECT record_id FROM predicted)
)
SELECT
    record_id AS predictor,
    model_id, rule, spec_id, example_id, ticker, session, p_up, predicted_at,
    len(seen_ids) AS headlines,
    rewritten,
    label,
    label = 'up' AS label_up,
    label_start_ts,
    label_end_ts,
    previous_return,
    availability,
    CASE
        WHEN NOT timely THEN 'late'
        WHEN NOT counts THEN 'repeated'
        WHEN label IS NOT NULL AND label_end_ts <= $now THEN 'scored'
        WHEN label_end_ts <= $now THEN 'unlabelled'
        ELSE 'waiting'
    END AS state
FROM forward
ORDER BY session, ticker, example_id, predictor, predicted_at, prediction_id;


-- name: forward_counts
-- grain: one row per predictor of forward_states
SELECT
    forward.predictor,
    any_value(forward.model_id) AS model_id,
    any_value(models.stage) AS stage,
    any_value(forward.model_id) IS NOT NULL AS is_model,
    count(*) FILTER (state = 'scored') AS scored,
    count(*) FILTER (state = 'waiting') AS waiting,
    count(*) FILTER (state = 'unlabelled') AS unlabelled,
    count(*) FILTER (state = 'late') AS late,
    min(forward.session) FILTER (state = 'scored') AS first_session,
    max(forward.session) FILTER (state = 'scored') AS last_session
FROM forward_states AS forward
LEFT JOIN models USING (model_id)
GROUP BY forward.predictor
ORDER BY
    any_value(forward.model_id) IS NOT NULL DESC,
    any_value(models.stage) IS NOT DISTINCT FROM 'champion' DESC,
    max(models.created_at) DESC NULLS LAST,
    forward.predictor;


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


-- name: forecasts_of_session
-- grain: one row per record and example of the forward record in one session ($session NULL: the latest one)
SELECT
    record_id, spec_id, example_id, ticker, session, decision_ts, predicted_at, p_up, label_end_ts,
    len(seen_ids) AS headlines,
    input_sha256
FROM forward_record
WHERE counts AND ($session IS NULL OR session = $session)
QUALIFY session = max(session) OVER ()
ORDER BY record_id, spec_id, ticker, example_id;
