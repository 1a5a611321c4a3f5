-- grain: one row per model and non-empty tenth of P(up) among its scored forward predictions
SELECT
    predictor,
    least(9, CAST(floor(p_up * 10) AS INTEGER)) / 10.0 AS bin_low,
    count(*) AS n,
    round(avg(p_up), 6) AS mean_p_up,
    round(avg(went_up), 6) AS up_share
FROM site_scored
WHERE state = 'scored' AND model_id IS NOT NULL
GROUP BY predictor, bin_low
ORDER BY predictor, bin_low;
