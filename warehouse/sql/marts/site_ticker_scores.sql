-- grain: one row per model and ticker with a scored forward prediction
-- One row per session and ticker, so the interval is Wilson's at 95% (Wilson 1927, JASA 22).
WITH counted AS (
    SELECT
        predictor,
        ticker,
        count(*) AS n,
        avg(correct) AS accuracy,
        avg(went_up) AS up_share,
        avg(CAST(p_up >= 0.5 AS INTEGER)) AS called_up
    FROM site_scored
    WHERE state = 'scored' AND model_id IS NOT NULL
    GROUP BY predictor, ticker
)
SELECT
    predictor,
    ticker,
    n,
    round(accuracy, 6) AS accuracy,
    round((accuracy + 1.9208 / n - 1.96 * sqrt((accuracy * (1 - accuracy) + 0.9604 / n) / n)) / (1 + 3.8416 / n), 6)
        AS ci_low,
    round((accuracy + 1.9208 / n + 1.96 * sqrt((accuracy * (1 - accuracy) + 0.9604 / n) / n)) / (1 + 3.8416 / n), 6)
        AS ci_high,
    round(up_share, 6) AS up_share,
    round(called_up, 6) AS called_up
FROM counted
ORDER BY predictor, ticker;
