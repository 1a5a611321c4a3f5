-- grain: one row per model and other predictor, on the examples both were scored on
-- difference: the model's accuracy minus the other's, its interval as in site_scores.
WITH paired AS (
    SELECT
        one.predictor,
        two.predictor AS other,
        one.session,
        count(*) AS n,
        sum(one.correct - two.correct) AS lead
    FROM site_scored AS one
    JOIN site_scored AS two USING (spec_id, example_id)
    WHERE one.state = 'scored'
        AND two.state = 'scored'
        AND one.model_id IS NOT NULL
        AND one.predictor <> two.predictor
    GROUP BY one.predictor, other, one.session
),
ratio AS (
    SELECT
        predictor,
        other,
        count(*) AS sessions,
        sum(n) AS n,
        sum(lead) / sum(n) AS difference,
        sum(lead * lead) AS ll,
        sum(lead * n) AS ln,
        sum(n * n) AS nn
    FROM paired
    GROUP BY predictor, other
),
bounded AS (
    SELECT
        *,
        CASE WHEN sessions > 1 THEN
            1.96 * sqrt(
                greatest(0, ll - 2 * difference * ln + difference * difference * nn)
                * sessions / (sessions - 1)
            ) / n
        END AS reach
    FROM ratio
)
SELECT
    predictor,
    other,
    sessions,
    CAST(n AS BIGINT) AS n,
    round(difference, 6) AS difference,
    round(difference - reach, 6) AS ci_low,
    round(difference + reach, 6) AS ci_high
FROM bounded
ORDER BY predictor, other;
