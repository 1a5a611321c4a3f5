-- grain: one row per predictor and week with a scored prediction: the 60 sessions up to its last
-- Intervals as in site_scores; windows of fewer than 20 sessions are left out.
WITH daily AS (
    SELECT predictor, session, count(*) AS n, sum(correct) AS hits
    FROM site_scored
    WHERE state = 'scored'
    GROUP BY predictor, session
),
rolled AS (
    SELECT
        predictor,
        session,
        count(*) OVER latest AS sessions,
        sum(n) OVER latest AS n,
        sum(hits) OVER latest / sum(n) OVER latest AS accuracy,
        sum(hits * hits) OVER latest AS hh,
        sum(hits * n) OVER latest AS hn,
        sum(n * n) OVER latest AS nn
    FROM daily
    WINDOW latest AS (
        PARTITION BY predictor ORDER BY session ROWS BETWEEN 59 PRECEDING AND CURRENT ROW
    )
),
weekly AS (
    SELECT *
    FROM rolled
    WHERE sessions >= 20
    QUALIFY session = max(session) OVER (PARTITION BY predictor, date_trunc('week', session))
),
bounded AS (
    SELECT
        *,
        1.96 * sqrt(
            greatest(0, hh - 2 * accuracy * hn + accuracy * accuracy * nn)
            * sessions / (sessions - 1)
        ) / n AS reach
    FROM weekly
)
SELECT
    predictor,
    session,
    sessions,
    CAST(n AS BIGINT) AS n,
    round(accuracy, 6) AS accuracy,
    round(accuracy - reach, 6) AS ci_low,
    round(accuracy + reach, 6) AS ci_high
FROM bounded
ORDER BY predictor, session;
