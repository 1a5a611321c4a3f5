-- Looks: which predictions were ever held against the outcomes of which test sessions.


-- name: look_publish
-- writes: looks (look_id), idempotent
-- grain: one row per predictor whose predictions are held against outcomes (inserted into looks unless there)
INSERT INTO looks BY NAME
SELECT
    sha256(concat_ws('|', dataset_id, split, predictor, model_id, predictions_sha256)) AS look_id,
    *
FROM (
    SELECT
        dataset_id,
        $split AS split,
        predictor, model_id,
        any_value(spec_id) AS spec_id,
        list_sort(list(DISTINCT session)) AS sessions,
        count(*) AS n_examples,
        sha256(string_agg(concat_ws(' ', example_id, p_up), chr(10) ORDER BY example_id))
            AS predictions_sha256,
        any_value(predicted_at) AS looked_at
    FROM incoming_predictions
    GROUP BY dataset_id, predictor, model_id
) AS incoming
WHERE NOT EXISTS (
    SELECT 1
    FROM looks AS stored
    WHERE stored.dataset_id = incoming.dataset_id
        AND stored.split = incoming.split
        AND stored.predictor = incoming.predictor
        AND stored.model_id IS NOT DISTINCT FROM incoming.model_id
        AND stored.predictions_sha256 = incoming.predictions_sha256
);


-- name: looks_overlapping
-- grain: one row per look that saw a session which one predictor saw on one split; its own look first
-- $uncounted: predictors that are opponents and count only where the question is about them.
-- stored: whether its very predictions are still there to be resampled. asked: the look in question, the latest
-- whose predictions are; former ones of the same predictor are looks like any other.
WITH own AS (
    SELECT *
    FROM looks
    WHERE dataset_id = $dataset_id
        AND split = $split
        AND predictor = $predictor
        AND model_id IS NOT DISTINCT FROM $model_id
), overlapping AS (
    SELECT *, look_id IN (SELECT look_id FROM own) AS own
    FROM looks
    WHERE (predictor NOT IN (SELECT unnest($uncounted)) OR look_id IN (SELECT look_id FROM own))
        AND EXISTS (SELECT 1 FROM own WHERE list_has_any(looks.sessions, own.sessions))
), kept AS (
    SELECT
        overlapping.look_id,
        sha256(
            string_agg(
                concat_ws(' ', predictions.example_id, predictions.p_up),
                chr(10) ORDER BY predictions.example_id
            )
        ) AS predictions_sha256
    FROM overlapping
    INNER JOIN predictions
        ON predictions.kind = 'backtest'
        AND predictions.dataset_id = overlapping.dataset_id
        AND predictions.spec_id = overlapping.spec_id
        AND predictions.predictor = overlapping.predictor
        AND predictions.model_id IS NOT DISTINCT FROM overlapping.model_id
        AND list_contains(overlapping.sessions, predictions.session)
    GROUP BY overlapping.look_id
), found AS (
    SELECT
        overlapping.*,
        coalesce(kept.predictions_sha256 = overlapping.predictions_sha256, false) AS stored
    FROM overlapping
    LEFT JOIN kept USING (look_id)
)
SELECT
    look_id, predictor, model_id, stored,
    own AND row_number() OVER (ORDER BY own DESC, stored DESC, looked_at DESC, look_id) = 1 AS asked
FROM found
ORDER BY asked DESC, looked_at, look_id;


-- name: look_predictions
-- grain: one row per wanted look, example and predictor: its own P(up) (baseline NULL) and each of $baselines'
SELECT
    looks.look_id,
    if(predictions.predictor = looks.predictor, NULL, predictions.predictor) AS baseline,
    predictions.example_id, predictions.p_up,
    examples.session, examples.label_start_ts, examples.label_end_ts,
    examples.label = 'up' AS label_up
FROM looks
INNER JOIN wanted_looks USING (look_id)
INNER JOIN predictions
    ON predictions.kind = 'backtest'
    AND predictions.dataset_id = looks.dataset_id
    AND predictions.spec_id = looks.spec_id
    AND list_contains(looks.sessions, predictions.session)
    AND (
        (predictions.predictor = looks.predictor AND predictions.model_id IS NOT DISTINCT FROM looks.model_id)
        OR (
            predictions.predictor <> looks.predictor
            AND predictions.predictor IN (SELECT unnest($baselines))
            AND predictions.model_id IS NULL
        )
    )
INNER JOIN examples
    ON examples.spec_id = predictions.spec_id
    AND examples.example_id = predictions.example_id
WHERE examples.label IS NOT NULL
ORDER BY looks.look_id, baseline NULLS FIRST, predictions.example_id;


-- name: models_judged
-- grain: one row per model that was judged on one of $sessions, in a back-test or by its forward predictions
SELECT model_id
FROM looks
WHERE model_id IS NOT NULL AND list_has_any(sessions, $sessions)
UNION
SELECT model_id
FROM predictions
WHERE kind = 'forward' AND model_id IS NOT NULL AND list_contains($sessions, session)
ORDER BY model_id;


-- name: holdout_looks
-- grain: one row per look at a final holdout that saw one of $sessions, the first one first
SELECT dataset_id, predictor, model_id, looked_at
FROM looks
WHERE split = 'final' AND list_has_any(sessions, $sessions)
ORDER BY looked_at, dataset_id, predictor, model_id;


-- name: sessions_set_aside
-- grain: one row per session of one spec's final holdout while it is closed
SELECT session
FROM set_aside
WHERE spec_id = $spec_id
ORDER BY session;


-- name: holdouts_opened
-- grain: one row per data set whose final holdout was opened
SELECT DISTINCT dataset_id
FROM looks
WHERE split = 'final'
ORDER BY dataset_id;


-- name: holdout_history
-- grain: one row: looks at the sessions of one data set's opened final holdout, besides those that opened it
-- before, after: looks of other splits and data sets. forward: models with a forward prediction of these sessions,
-- whose record shows them too.
WITH opening AS (
    SELECT flatten(list(sessions)) AS sessions, max(looked_at) AS opened_at
    FROM looks
    WHERE dataset_id = $dataset_id AND split = 'final'
), others AS (
    SELECT looks.looked_at <= opening.opened_at AS is_before
    FROM looks
    INNER JOIN opening ON list_has_any(looks.sessions, opening.sessions)
    WHERE (looks.dataset_id, looks.split) <> ($dataset_id, 'final')
)
SELECT
    (SELECT count(*) FROM others WHERE is_before) AS before,
    (SELECT count(*) FROM others WHERE NOT is_before) AS after,
    (
        SELECT count(DISTINCT predictions.model_id)
        FROM predictions, opening
        WHERE predictions.kind = 'forward' AND list_contains(opening.sessions, predictions.session)
    ) AS forward;
