-- grain: one row per data set, split, slice, predictor, model and metric (merged into evaluations)
-- A repeated evaluation with equal numbers keeps its first evaluated_at and changes nothing.
MERGE INTO evaluations AS stored
USING incoming_evaluation AS incoming
ON stored.dataset_id = incoming.dataset_id
    AND stored.split = incoming.split
    AND stored.slice = incoming.slice
    AND stored.predictor = incoming.predictor
    AND stored.metric = incoming.metric
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
