-- grain: one row per example that both models predicted and neither has seen
-- Seen is every outcome known by the end of the last training or validation session of either model's data
-- set. Where a model predicted an example twice, what it said before the outcome counts.
WITH boundary AS (
    SELECT max(examples.label_end_ts) AS seen_until
    FROM models
    INNER JOIN datasets USING (dataset_id)
    INNER JOIN examples
        ON examples.spec_id = datasets.spec_id
        AND examples.session <= greatest(
            CAST(datasets.manifest ->> '$.splits.train.last_session' AS DATE),
            CAST(datasets.manifest ->> '$.splits.validation.last_session' AS DATE)
        )
    WHERE models.model_id IN ($challenger, $champion)
        AND examples.label IS NOT NULL
), said AS (
    SELECT model_id, spec_id, example_id, p_up
    FROM predictions
    WHERE model_id IN ($challenger, $champion)
    QUALIFY row_number() OVER (
        PARTITION BY model_id, spec_id, example_id
        ORDER BY kind = 'forward' DESC, predicted_at, prediction_id
    ) = 1
)
SELECT
    examples.example_id,
    examples.ticker,
    examples.session,
    examples.label = 'up' AS label_up,
    examples.availability,
    challenger.p_up AS challenger_p_up,
    champion.p_up AS champion_p_up
FROM said AS challenger
INNER JOIN said AS champion
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
