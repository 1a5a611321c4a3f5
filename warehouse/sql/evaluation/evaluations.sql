-- Evaluations: the labelled examples they are made on, and the metrics that are stored.


-- name: evaluation_frame
-- feeds: predictions, evaluations, looks
-- grain: one row per wanted example that has a label, in the order wanted
SELECT
    examples.spec_id, examples.example_id, examples.ticker, examples.session, examples.decision_ts,
    examples.label_start_ts, examples.label_end_ts,
    examples.label = 'up' AS label_up,
    examples.label_return, examples.previous_return, examples.availability, examples.input,
    examples.features
FROM wanted_examples AS wanted
INNER JOIN examples
    ON examples.example_id = wanted.example_id
    AND examples.spec_id = $spec_id
WHERE examples.label IS NOT NULL
ORDER BY wanted.position;


-- name: evaluation_publish
-- writes: evaluations (dataset_id, split, slice, predictor, model_id, metric, baseline), idempotent
-- grain: one row per data set, split, slice, predictor, model, metric and baseline (merged into evaluations)
-- A repeated evaluation with equal numbers keeps its first evaluated_at and changes nothing.
MERGE INTO evaluations AS stored
USING incoming_evaluation AS incoming
ON stored.dataset_id = incoming.dataset_id
    AND stored.split = incoming.split
    AND stored.slice = incoming.slice
    AND stored.predictor = incoming.predictor
    AND stored.metric = incoming.metric
    AND stored.baseline IS NOT DISTINCT FROM incoming.baseline
    AND stored.model_id IS NOT DISTINCT FROM incoming.model_id
WHEN MATCHED AND (
    stored.value IS DISTINCT FROM incoming.value
    OR stored.ci_low IS DISTINCT FROM incoming.ci_low
    OR stored.ci_high IS DISTINCT FROM incoming.ci_high
    OR stored.n_examples IS DISTINCT FROM incoming.n_examples
    OR stored.n_sessions IS DISTINCT FROM incoming.n_sessions
) THEN UPDATE SET
    value = incoming.value,
    ci_low = incoming.ci_low,
    ci_high = incoming.ci_high,
    n_examples = incoming.n_examples,
    n_sessions = incoming.n_sessions,
    evaluated_at = incoming.evaluated_at
WHEN NOT MATCHED THEN INSERT BY NAME;


-- name: report_evaluations
-- grain: one row per split, slice, predictor, metric and baseline evaluated on data set $dataset_id
-- A predictor that several models share is shown by its latest model.
SELECT
    split, slice, predictor, model_id, metric, baseline, value, ci_low, ci_high,
    n_examples, n_sessions, evaluated_at
FROM evaluations
WHERE dataset_id = $dataset_id
QUALIFY model_id IS NOT DISTINCT FROM arg_max(model_id, evaluated_at) OVER (PARTITION BY split, predictor)
ORDER BY split, slice, predictor, metric, baseline NULLS FIRST;


-- name: model_evaluation
-- grain: one row per slice, predictor, metric and baseline of one model's evaluation on a test split
SELECT slice, predictor, model_id, metric, baseline, value, ci_low, ci_high, n_examples, n_sessions
FROM evaluations
WHERE dataset_id = $dataset_id
    AND model_id = $model_id
    AND split = 'test'
ORDER BY slice, predictor, metric, baseline NULLS FIRST;


-- name: evaluation_model_accuracy
-- grain: one row per model evaluated on the test split of the data set it was trained on
SELECT
    models.model_id, models.dataset_id, evaluations.predictor, evaluations.value, evaluations.ci_low, evaluations.ci_high,
    evaluations.evaluated_at,
    (
        SELECT count(DISTINCT others.look_id)
        FROM looks AS own
        INNER JOIN looks AS others ON list_has_any(others.sessions, own.sessions)
        WHERE own.model_id = models.model_id
            AND own.dataset_id = models.dataset_id
            AND own.split = 'test'
            AND others.model_id IS NOT NULL
    ) AS judged
FROM models
INNER JOIN evaluations
    ON evaluations.model_id = models.model_id
    AND evaluations.dataset_id = models.dataset_id
    AND evaluations.split = 'test'
    AND evaluations.slice = 'all'
    AND evaluations.metric = 'accuracy'
    AND evaluations.baseline IS NULL
QUALIFY row_number() OVER (PARTITION BY models.model_id ORDER BY evaluations.evaluated_at DESC) = 1
ORDER BY models.model_id;
