-- grain: one row per predictor with a forward prediction, or simple rule it is held against
-- Intervals of accuracy: the ratio of session totals with its linearised variance over sessions,
-- at 95% (Cochran 1977, Sampling Techniques, section 6.3, sessions as the sampled units).
WITH daily AS (
    SELECT predictor, session, count(*) AS n, sum(correct) AS hits
    FROM site_scored
    WHERE state = 'scored'
    GROUP BY predictor, session
),
ratio AS (
    SELECT
        predictor,
        count(*) AS sessions,
        sum(n) AS n,
        sum(hits) / sum(n) AS accuracy,
        sum(hits * hits) AS hh,
        sum(hits * n) AS hn,
        sum(n * n) AS nn
    FROM daily
    GROUP BY predictor
),
bounded AS (
    SELECT
        predictor, sessions, n, accuracy,
        CASE WHEN sessions > 1 THEN
            1.96 * sqrt(
                greatest(0, hh - 2 * accuracy * hn + accuracy * accuracy * nn)
                * sessions / (sessions - 1)
            ) / n
        END AS reach
    FROM ratio
),
counted AS (
    SELECT
        predictor,
        any_value(model_id) IS NOT NULL AS is_model,
        arg_max(model_id, session) AS model_id,
        count(*) FILTER (state = 'scored') AS scored,
        count(*) FILTER (state = 'waiting') AS waiting,
        count(*) FILTER (state = 'unlabelled') AS unlabelled,
        count(*) FILTER (state = 'late') AS late,
        min(session) FILTER (state = 'scored') AS first_session,
        max(session) FILTER (state = 'scored') AS last_session,
        round(avg((p_up - went_up) * (p_up - went_up)) FILTER (state = 'scored'), 6) AS brier,
        round(avg(p_up) FILTER (state = 'scored'), 6) AS mean_p_up,
        round(avg(went_up) FILTER (state = 'scored'), 6) AS up_share
    FROM site_scored
    GROUP BY predictor
)
SELECT
    counted.* EXCLUDE (model_id),
    counted.model_id,
    coalesce(sessions, 0) AS sessions,
    round(accuracy, 6) AS accuracy,
    round(accuracy - reach, 6) AS ci_low,
    round(accuracy + reach, 6) AS ci_high
FROM counted
LEFT JOIN bounded USING (predictor)
ORDER BY is_model DESC, predictor;
