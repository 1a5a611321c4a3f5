-- The model registry: stages, and what two models have both not seen.


-- name: model_rows
-- grain: one row per model, newest first
SELECT *
FROM models
ORDER BY created_at DESC, model_id;


-- name: model_frozen
-- grain: one row per incoming model that is past candidacy under other weights
SELECT stored.stage, stored.adapter_sha256
FROM models AS stored
INNER JOIN incoming_models AS incoming USING (model_id)
WHERE stored.stage <> 'candidate'
    AND stored.adapter_sha256 <> incoming.adapter_sha256;


-- name: model_publish
-- writes: models (model_id), idempotent
-- grain: one row per model (merged into models)
-- A model is what its id says: its stage is changed by promotion alone, never by storing it again.
MERGE INTO models AS stored
USING incoming_models AS incoming
ON stored.model_id = incoming.model_id
WHEN MATCHED AND (
    stored.path IS DISTINCT FROM incoming.path
    OR stored.metrics IS DISTINCT FROM incoming.metrics
    OR stored.adapter_sha256 IS DISTINCT FROM incoming.adapter_sha256
) THEN UPDATE SET
    path = incoming.path,
    metrics = incoming.metrics,
    adapter_sha256 = incoming.adapter_sha256
WHEN NOT MATCHED THEN INSERT BY NAME;


-- name: model_stage
-- writes: models.stage, idempotent
-- grain: one updated row per model whose stage changes
-- There is one champion at most: the former one is retired in the same commit.
UPDATE models
SET stage = CASE
    WHEN model_id = $model_id THEN $stage
    ELSE 'retired'
END
WHERE (model_id = $model_id AND stage <> $stage)
    OR ($stage = 'champion' AND stage = 'champion' AND model_id <> $model_id);


-- name: promotion_test_number
-- writes: promotion_tests (challenger, champion), idempotent
-- grain: one row, the number of this pair's test, which it keeps
INSERT INTO promotion_tests BY NAME
SELECT
    (SELECT coalesce(max(test_no), 0) + 1 FROM promotion_tests) AS test_no,
    $challenger AS challenger,
    $champion AS champion
WHERE NOT EXISTS (
    SELECT 1
    FROM promotion_tests
    WHERE challenger = $challenger AND champion = $champion
);

SELECT test_no
FROM promotion_tests
WHERE challenger = $challenger AND champion = $champion;


-- name: model_registered
-- grain: one row per model of the two whose data set is known to this warehouse
SELECT models.model_id
FROM models
INNER JOIN datasets USING (dataset_id)
WHERE models.model_id IN ($challenger, $champion);


-- name: models_seen
-- grain: one row per model of $model_ids whose data set is known, with the end of the last outcome it has seen
SELECT model_id, seen_until
FROM model_boundaries
WHERE list_contains($model_ids, model_id)
ORDER BY model_id;


-- name: model_unseen
-- feeds: promotion_tests
-- grain: one row per example that both models predicted and neither has seen
-- Where a model predicted an example twice, the prediction of its forward record counts.
WITH boundary AS (
    SELECT max(seen_until) AS seen_until
    FROM model_boundaries
    WHERE model_id IN ($challenger, $champion)
), predicted AS (
    SELECT model_id, spec_id, example_id, p_up, predicted_at, prediction_id, true AS forward
    FROM forward_record
    WHERE counts
    UNION ALL BY NAME
    SELECT model_id, spec_id, example_id, p_up, predicted_at, prediction_id, false AS forward
    FROM predictions
    WHERE kind = 'backtest'
), decisive AS (
    SELECT model_id, spec_id, example_id, p_up, forward
    FROM predicted
    WHERE model_id IN ($challenger, $champion)
    QUALIFY row_number() OVER (
        PARTITION BY model_id, spec_id, example_id
        ORDER BY forward DESC, predicted_at, prediction_id
    ) = 1
)
SELECT
    examples.example_id, examples.ticker, examples.session,
    examples.label_start_ts, examples.label_end_ts,
    examples.label = 'up' AS label_up,
    examples.availability,
    challenger.p_up AS challenger_p_up,
    champion.p_up AS champion_p_up,
    challenger.forward AND champion.forward AS forward
FROM decisive AS challenger
INNER JOIN decisive AS champion
    ON champion.spec_id = challenger.spec_id
    AND champion.example_id = challenger.example_id
    AND champion.model_id = $champion
INNER JOIN examples
    ON examples.spec_id = challenger.spec_id
    AND examples.example_id = challenger.example_id
INNER JOIN boundary ON examples.decision_ts > boundary.seen_until
WHERE challenger.model_id = $challenger
    AND examples.label IS NOT NULL
ORDER BY examples.session, examples.ticker, examples.example_id;
