-- grain: one row per model and month of its scored forward predictions
SELECT
    predictor,
    CAST(date_trunc('month', session) AS DATE) AS month,
    count(*) AS n,
    count(DISTINCT ticker) AS tickers,
    round(avg(headlines), 4) AS headlines_per_example,
    round(avg(p_up), 6) AS mean_p_up,
    round(avg(went_up), 6) AS up_share,
    round(avg(correct), 6) AS accuracy
FROM site_scored
WHERE state = 'scored' AND model_id IS NOT NULL
GROUP BY predictor, month
ORDER BY predictor, month;
