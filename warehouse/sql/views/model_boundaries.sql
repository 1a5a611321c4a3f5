-- grain: one row per model whose data set is known: the end of the last outcome it can have learned from
-- Seen is every outcome known by the end of the last training or validation session of its data set.
CREATE OR REPLACE TEMP VIEW model_boundaries AS
SELECT models.model_id, max(examples.label_end_ts) AS seen_until
FROM models
INNER JOIN datasets USING (dataset_id)
INNER JOIN examples
    ON examples.spec_id = datasets.spec_id
    AND examples.session <= greatest(
        CAST(datasets.manifest ->> '$.splits.train.last_session' AS DATE),
        CAST(datasets.manifest ->> '$.splits.validation.last_session' AS DATE)
    )
WHERE examples.label IS NOT NULL
GROUP BY models.model_id;
