-- The scoreboard: statistics over the forward record.


-- name: site_scored
-- builds: site_scored
-- grain: one row per forward prediction, plus one per example for each simple rule it is held against
-- Kept as the temporary table site_scored for the other site_ queries of the same connection.
-- state: scored | waiting (no outcome yet) | unlabelled (over without an outcome) | late (made after the
-- label window opened: shown, never scored) | repeated (a later one by the same predictor: likewise).
CREATE OR REPLACE TEMP TABLE site_scored AS
WITH forward AS (
    SELECT
        predictions.predictor,
        predictions.model_id,
        predictions.example_id,
        predictions.spec_id,
        predictions.ticker,
        predictions.session,
        predictions.p_up,
        predictions.predicted_at,
        examples.label,
        examples.previous_return,
        len(coalesce(predictions.headline_ids, examples.headline_ids)) AS headlines,
        coalesce(predictions.input_sha256 <> sha256(examples.input), false) AS rewritten,
        predictions.predicted_at < examples.label_start_ts AS timely,
        row_number() OVER (
            PARTITION BY predictions.predictor, predictions.spec_id, predictions.example_id
            ORDER BY predictions.predicted_at, predictions.prediction_id
        ) AS turn,
        examples.label_end_ts <= $now AS over
    FROM predictions
    JOIN examples USING (spec_id, example_id)
    WHERE predictions.kind = 'forward'
),
-- Rules that need no model are held against the same examples, unless they predicted themselves.
rules AS (
    SELECT DISTINCT
        unnest(['always_up', 'previous_direction']) AS predictor,
        CAST(NULL AS VARCHAR) AS model_id,
        example_id, spec_id, ticker, session, previous_return, label, over
    FROM forward
    WHERE timely
),
everyone AS (
    SELECT
        predictor, model_id, example_id, spec_id, ticker, session, p_up, predicted_at, label,
        headlines, rewritten, timely, turn, over
    FROM forward
    UNION ALL
    SELECT
        predictor, model_id, example_id, spec_id, ticker, session,
        CASE WHEN predictor = 'always_up' OR previous_return > 0 THEN 1.0 ELSE 0.0 END,
        NULL, label, NULL, false, true, 1, over
    FROM rules
    WHERE predictor NOT IN (SELECT predictor FROM forward)
)
SELECT
    predictor, model_id, example_id, spec_id, ticker, session, p_up, predicted_at, label, headlines,
    rewritten,
    CAST(label = 'up' AS INTEGER) AS went_up,
    CAST((p_up >= 0.5) = (label = 'up') AS INTEGER) AS correct,
    CASE
        WHEN NOT timely THEN 'late'
        WHEN turn > 1 THEN 'repeated'
        WHEN label IS NOT NULL AND over THEN 'scored'
        WHEN over THEN 'unlabelled'
        ELSE 'waiting'
    END AS state
FROM everyone;


-- name: site_scores
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


-- name: site_differences
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


-- name: site_rolling
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


-- name: site_calibration
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


-- name: site_drift
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


-- name: site_ticker_scores
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
