-- grain: one row per predictor and non-empty tenth of P(up) among backtest predictions on $dataset_id
WITH scored AS (
    SELECT
        predictor,
        p_up,
        CAST(label = 'up' AS INTEGER) AS went_up,
        least(9, CAST(floor(p_up * 10) AS INTEGER)) AS tenth
    FROM predictions
    JOIN examples USING (spec_id, example_id)
    WHERE dataset_id = $dataset_id AND kind = 'backtest' AND label IS NOT NULL
    QUALIFY model_id IS NOT DISTINCT FROM arg_max(model_id, predicted_at) OVER (PARTITION BY predictor)
)
SELECT
    predictor,
    tenth / 10.0 AS bin_low,
    (tenth + 1) / 10.0 AS bin_high,
    count(*) AS n,
    round(avg(p_up), 6) AS mean_p_up,
    round(avg(went_up), 6) AS up_share
FROM scored
GROUP BY predictor, tenth
ORDER BY predictor, tenth;
