-- grain: one row per evaluation of a model before looks were recorded, as far as its predictions are stored
INSERT INTO looks BY NAME
SELECT
    sha256(concat_ws('|', dataset_id, 'test', predictor, model_id, predictions_sha256)) AS look_id,
    *
FROM (
    SELECT
        dataset_id,
        'test' AS split,
        predictor, model_id,
        any_value(spec_id) AS spec_id,
        list_sort(list(DISTINCT session)) AS sessions,
        count(*) AS n_examples,
        sha256(string_agg(concat_ws(' ', example_id, p_up), chr(10) ORDER BY example_id))
            AS predictions_sha256,
        min(predicted_at) AS looked_at
    FROM predictions
    WHERE kind = 'backtest'
        AND dataset_id IS NOT NULL
        AND (dataset_id, predictor, model_id) IN (
            SELECT (dataset_id, predictor, model_id)
            FROM evaluations
            WHERE split = 'test' AND model_id IS NOT NULL
        )
    GROUP BY dataset_id, predictor, model_id
)
WHERE predictions_sha256 NOT IN (SELECT predictions_sha256 FROM looks);
