-- What the report shows of one data set.


-- name: report_checks
-- grain: one row per validation suite
WITH validated AS (
    SELECT suite, batch, checked_at, count(*) AS expectations, bool_and(success) AS passed
    FROM checks
    GROUP BY suite, batch, checked_at
)
SELECT
    suite,
    count(*) AS runs,
    count(*) FILTER (NOT passed) AS refused,
    max(expectations) AS expectations,
    max(checked_at) AS last_checked_at
FROM validated
GROUP BY suite
ORDER BY suite;


-- name: report_examples
-- grain: one row per shown example of $spec_id: up to $rows of them, spread over labels and time
-- The order by a hash of the id picks the same rows whenever the content is the same.
WITH ranked AS (
    SELECT
        example_id, ticker, session, decision_ts, max_input_available_at, label_start_ts,
        label_end_ts, label, label_reason, label_return, availability, input,
        len(headline_ids) AS headlines,
        row_number() OVER (
            PARTITION BY coalesce(label, label_reason) ORDER BY sha256(example_id)
        ) AS place
    FROM examples
    ANTI JOIN set_aside USING (spec_id, session)
    WHERE spec_id = $spec_id
)
SELECT * EXCLUDE (place)
FROM ranked
ORDER BY place, label DESC NULLS LAST, label_reason
LIMIT $rows;


-- name: report_failures
-- grain: one row per request range that has failed, or came in part, and has not been served since
SELECT
    source, key, range_start, range_end, attempts,
    coalesce(
        len(missing) || ' of ' || expected || ' sessions are missing (' || in_few_words(missing) || ')',
        error
    ) AS error
FROM partitions
WHERE state IN ('failed', 'partial')
ORDER BY source, key, range_start, range_end;


-- name: report_labels
-- grain: one row per label and label reason of the examples of $spec_id
-- Of a final holdout that is not opened only the number of examples shows.
SELECT
    if(aside.session IS NULL, label, NULL) AS label,
    if(aside.session IS NULL, label_reason, 'set_aside') AS label_reason,
    count(*) AS examples
FROM examples
LEFT JOIN set_aside AS aside USING (spec_id, session)
WHERE spec_id = $spec_id
GROUP BY ALL
ORDER BY 1 DESC NULLS LAST, examples DESC, 2;


-- name: report_months
-- grain: one row per calendar month (UTC) between the first and the last record
WITH counted AS (
    SELECT date_trunc('month', session) AS month, count(*) AS bars, 0 AS headlines
    FROM bars
    GROUP BY ALL
    UNION ALL
    SELECT date_trunc('month', published_at AT TIME ZONE 'UTC'), 0, count(*)
    FROM headlines
    GROUP BY ALL
),
span AS (
    SELECT unnest(generate_series(min(month), max(month), INTERVAL 1 MONTH)) AS month
    FROM counted
)
SELECT
    CAST(month AS DATE) AS month,
    CAST(coalesce(sum(bars), 0) AS BIGINT) AS bars,
    CAST(coalesce(sum(headlines), 0) AS BIGINT) AS headlines
FROM span
LEFT JOIN counted USING (month)
GROUP BY month
ORDER BY month;


-- name: report_quarantine
-- grain: one row per kind, source and reason, with one rejected record as the example
SELECT
    kind, source, reason,
    count(*) AS records,
    min(key) AS example_key,
    arg_min(record, (key, quarantine_id)) AS example_record,
    arg_min(payload_id, (key, quarantine_id)) AS example_payload_id
FROM quarantine
GROUP BY kind, source, reason
ORDER BY kind, source, records DESC, reason;


-- name: report_reliability
-- grain: one row per predictor and non-empty tenth of P(up) among backtest predictions on $dataset_id
-- The final holdout, once opened, has its verdict alone.
WITH scored AS (
    SELECT
        predictor,
        p_up,
        CAST(label = 'up' AS INTEGER) AS went_up,
        least(9, CAST(floor(p_up * 10) AS INTEGER)) AS tenth
    FROM predictions
    JOIN examples USING (spec_id, example_id)
    WHERE dataset_id = $dataset_id AND kind = 'backtest' AND label IS NOT NULL
        AND predictions.session NOT IN (
            SELECT unnest(sessions) FROM looks WHERE dataset_id = $dataset_id AND split = 'final'
        )
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


-- name: report_returns
-- grain: one row per predictor and labelled example of the backtest on data set $dataset_id
-- A predictor that several models share is shown by its latest model.
SELECT
    predictor, predictions.session, p_up, label_return
FROM predictions
JOIN examples USING (spec_id, example_id)
WHERE dataset_id = $dataset_id
    AND kind = 'backtest'
    AND label IS NOT NULL
    AND label_return IS NOT NULL
    AND predictions.session NOT IN (
        SELECT unnest(sessions) FROM looks WHERE dataset_id = $dataset_id AND split = 'final'
    )
QUALIFY model_id IS NOT DISTINCT FROM arg_max(model_id, predicted_at) OVER (PARTITION BY predictor)
ORDER BY predictor, session, example_id;


-- name: report_sources
-- grain: one row per kind of record and source
WITH counted AS (
    SELECT 'bars' AS kind, source, ticker, session AS day, payload_id, false AS synthetic
    FROM bars
    UNION ALL
    SELECT 'actions', source, ticker, ex_date, payload_id, false
    FROM actions
    UNION ALL
    SELECT 'headlines', source, NULL, CAST(published_at AT TIME ZONE 'UTC' AS DATE), payload_id, synthetic
    FROM headlines
),
rejected AS (
    SELECT kind || 's' AS kind, source, count(DISTINCT key) AS quarantined
    FROM quarantine
    GROUP BY ALL
)
SELECT
    kind,
    source,
    count(*) AS rows,
    count(DISTINCT ticker) AS tickers,
    min(day) AS first_day,
    max(day) AS last_day,
    count(DISTINCT payload_id) AS payloads,
    bool_or(synthetic) AS synthetic,
    coalesce(any_value(quarantined), 0) AS quarantined
FROM counted
LEFT JOIN rejected USING (kind, source)
GROUP BY kind, source
ORDER BY kind, source;


-- name: report_tickers
-- grain: one row per ticker with a bar, a headline or an example of $spec_id
WITH priced AS (
    SELECT ticker, count(*) AS bars, min(session) AS first_session, max(session) AS last_session
    FROM bars
    GROUP BY ticker
),
published AS (
    SELECT ticker, count(*) AS headlines, count(DISTINCT story_id) AS stories
    FROM headline_tickers
    JOIN headlines USING (headline_id)
    GROUP BY ticker
),
exemplified AS (
    SELECT
        ticker,
        count(*) AS examples,
        count(label) AS labelled,
        round(
            avg(CASE label WHEN 'up' THEN 1.0 WHEN 'down' THEN 0.0 END) FILTER (aside.session IS NULL), 6
        ) AS up_share
    FROM examples
    LEFT JOIN set_aside AS aside USING (spec_id, session)
    WHERE spec_id = $spec_id
    GROUP BY ticker
)
SELECT
    ticker,
    coalesce(bars, 0) AS bars,
    first_session,
    last_session,
    coalesce(headlines, 0) AS headlines,
    coalesce(stories, 0) AS stories,
    coalesce(examples, 0) AS examples,
    coalesce(labelled, 0) AS labelled,
    up_share
FROM priced
FULL JOIN published USING (ticker)
FULL JOIN exemplified USING (ticker)
ORDER BY ticker;
