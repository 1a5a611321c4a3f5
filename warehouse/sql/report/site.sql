-- What the site shows: today, the data, the lineage, the models.


-- name: site_today
-- grain: one row per predictor and ticker predicted for the latest forward session
-- predictor: whose record it belongs to. headlines: what the prediction saw, oldest first; effect: P(up) less what
-- it is once the headline is left out (NULL: not explained).
WITH shown AS (
    SELECT *
    FROM forward_record
    QUALIFY session = max(session) OVER ()
),
seen AS (
    SELECT prediction_id, p_up, unnest(seen_ids) AS headline_id
    FROM shown
),
texts AS (
    SELECT
        prediction_id,
        list(
            {
                'title': title, 'source': source, 'available_at': available_at, 'synthetic': synthetic,
                'effect': seen.p_up - p_up_without
            }
            ORDER BY available_at, headline_id
        ) AS headlines
    FROM seen
    JOIN headlines USING (headline_id)
    LEFT JOIN explanations USING (prediction_id, headline_id)
    GROUP BY prediction_id
)
SELECT
    prediction_id,
    record_id AS predictor,
    model_id, dataset_id, ticker, session, decision_ts, predicted_at, label_start_ts, label_end_ts,
    p_up,
    call,
    NOT timely AS late,
    label,
    label_return,
    coalesce(texts.headlines, []) AS headlines
FROM shown
LEFT JOIN texts USING (prediction_id)
WHERE counts OR NOT timely
ORDER BY predictor, abs(p_up - 0.5) DESC, ticker;


-- name: site_silent
-- grain: one row per ticker traded in the last 30 days but not predicted for the latest forward session
WITH latest AS (
    SELECT max(session) AS session
    FROM predictions
    WHERE kind = 'forward'
),
traded AS (
    SELECT DISTINCT ticker
    FROM bars
    JOIN latest ON bars.session BETWEEN latest.session - 30 AND latest.session
),
predicted AS (
    SELECT DISTINCT ticker
    FROM predictions
    JOIN latest USING (session)
    WHERE kind = 'forward'
)
SELECT ticker
FROM traded
ANTI JOIN predicted USING (ticker)
ORDER BY ticker;


-- name: site_sessions
-- grain: one row per session with a forward prediction, the latest first
-- digest changes when a prediction is added, an outcome arrives or an example is rewritten, so a page is rebuilt only then.
SELECT
    session,
    count(DISTINCT example_id) AS examples,
    count(*) AS predictions,
    md5(string_agg(concat_ws('|', predictor, example_id, p_up, predicted_at, label, state,
        rewritten), ';'
        ORDER BY predictor, example_id)) AS digest
FROM forward_states
WHERE NOT rule
GROUP BY session
ORDER BY session DESC;


-- name: site_lineage
-- grain: one row per example with a forward prediction in $sessions
-- predictions: which predictor, when, and whether the example still reads as it did then;
-- headlines: what they saw, with the payload it came from.
WITH wanted AS (
    SELECT *
    FROM forward_record
    WHERE list_contains($sessions, session)
),
predicted AS (
    SELECT
        spec_id,
        example_id,
        list(
            {
                'predictor': record_id, 'model_id': model_id, 'dataset_id': dataset_id,
                'prediction_id': prediction_id, 'p_up': p_up, 'predicted_at': predicted_at,
                'rewritten': rewritten
            }
            ORDER BY record_id, prediction_id
        ) AS predictions
    FROM wanted
    GROUP BY spec_id, example_id
),
seen AS (
    SELECT DISTINCT spec_id, example_id, unnest(seen_ids) AS headline_id
    FROM wanted
),
texts AS (
    SELECT
        spec_id,
        example_id,
        list(
            {
                'headline_id': headline_id, 'title': title, 'source': source, 'url': payloads.url,
                'available_at': available_at, 'availability': availability,
                'payload_id': headlines.payload_id, 'fetched_at': payloads.fetched_at
            }
            ORDER BY available_at, headline_id
        ) AS headlines
    FROM seen
    JOIN headlines USING (headline_id)
    LEFT JOIN (
        SELECT payload_id, min(url) AS url, min(fetched_at) AS fetched_at
        FROM payloads
        GROUP BY payload_id
    ) AS payloads USING (payload_id)
    GROUP BY spec_id, example_id
)
SELECT
    examples.session, examples.ticker, examples.example_id, examples.spec_id, examples.decision_ts,
    examples.max_input_available_at, examples.label_start_ts, examples.label_end_ts, examples.label,
    examples.label_reason, examples.label_return, predicted.predictions,
    coalesce(texts.headlines, []) AS headlines,
    bars.source AS bar_source,
    bars.payload_id AS bar_payload_id,
    bars.vintage AS bar_vintage
FROM predicted
JOIN examples USING (spec_id, example_id)
LEFT JOIN texts USING (spec_id, example_id)
LEFT JOIN bars ON bars.ticker = examples.ticker AND bars.session = examples.session
ORDER BY examples.session, examples.ticker, examples.example_id;


-- name: site_calibration
-- grain: one row per model and non-empty tenth of P(up) among its scored forward predictions
SELECT
    predictor,
    least(9, CAST(floor(p_up * 10) AS INTEGER)) / 10.0 AS bin_low,
    count(*) AS n,
    round(avg(p_up), 6) AS mean_p_up,
    round(avg(CAST(label_up AS INTEGER)), 6) AS up_share
FROM forward_states
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
    round(avg(CAST(label_up AS INTEGER)), 6) AS up_share,
    round(avg(CAST((p_up >= 0.5) = label_up AS INTEGER)), 6) AS accuracy
FROM forward_states
WHERE state = 'scored' AND model_id IS NOT NULL
GROUP BY predictor, month
ORDER BY predictor, month;


-- name: site_coverage
-- grain: one row per ticker and calendar step with a session, from $since to $until (inclusive)
-- $step: 'month' or 'day'.
-- bars and news: share of the step's sessions with a bar, and with a headline published on a day of
-- the step; a session is any date on which some ticker has a bar.
WITH calendar AS (
    SELECT DISTINCT session, CAST(date_trunc($step, session) AS DATE) AS step
    FROM bars
    WHERE session BETWEEN $since AND $until
),
sized AS (
    SELECT step, count(*) AS sessions
    FROM calendar
    GROUP BY step
),
priced AS (
    SELECT ticker, CAST(date_trunc($step, session) AS DATE) AS step, count(*) AS bars
    FROM bars
    WHERE session BETWEEN $since AND $until
    GROUP BY ALL
),
published AS (
    SELECT
        ticker,
        CAST(date_trunc($step, published_at AT TIME ZONE 'UTC') AS DATE) AS step,
        count(DISTINCT CAST(published_at AT TIME ZONE 'UTC' AS DATE)) AS days
    FROM headlines
    JOIN headline_tickers USING (headline_id)
    WHERE CAST(published_at AT TIME ZONE 'UTC' AS DATE) BETWEEN $since AND $until
    GROUP BY ALL
),
tickers AS (
    SELECT ticker FROM bars
    UNION
    SELECT ticker FROM headline_tickers
)
SELECT
    ticker, step, sessions,
    round(coalesce(bars, 0) / sessions, 4) AS bars,
    round(least(1.0, coalesce(days, 0) / sessions), 4) AS news
FROM tickers
CROSS JOIN sized
LEFT JOIN priced USING (ticker, step)
LEFT JOIN published USING (ticker, step)
ORDER BY ticker, step;


-- name: site_freshness
-- grain: one row per source ever requested or delivered
WITH delivered AS (
    SELECT source, 'bars' AS kind, count(*) AS rows, max(session) AS latest_record
    FROM bars
    GROUP BY source
    UNION ALL
    SELECT source, 'headlines', count(*), CAST(max(published_at) AT TIME ZONE 'UTC' AS DATE)
    FROM headlines
    GROUP BY source
),
fetched AS (
    SELECT source, max(fetched_at) AS last_fetched_at, count(*) AS payloads, sum(bytes) AS bytes
    FROM payloads
    GROUP BY source
),
failing AS (
    SELECT
        source,
        count(*) FILTER (WHERE state = 'failed') AS failed_requests,
        count(*) FILTER (WHERE state = 'partial') AS partial_requests,
        coalesce(sum(len(missing)), 0)::BIGINT AS missing_sessions,
        min(retry_at) AS next_try
    FROM partitions
    WHERE state IN ('failed', 'partial')
    GROUP BY source
)
SELECT
    source,
    kind,
    coalesce(rows, 0) AS rows,
    latest_record,
    last_fetched_at,
    coalesce(payloads, 0) AS payloads,
    CAST(coalesce(bytes, 0) AS BIGINT) AS bytes,
    coalesce(failed_requests, 0) AS failed_requests,
    coalesce(partial_requests, 0) AS partial_requests,
    coalesce(missing_sessions, 0) AS missing_sessions,
    next_try
FROM delivered
FULL JOIN fetched USING (source)
FULL JOIN failing USING (source)
ORDER BY kind, source;


-- name: site_incomplete
-- grain: one row per source and key of whose ranges something is missing, those with most of it first
SELECT
    source, key,
    min(range_start) AS range_start,
    max(range_end) AS range_end,
    coalesce(sum(len(missing)), 0)::BIGINT AS sessions,
    in_few_words(list_sort(flatten(list(missing)))) AS days,
    arg_max(error, updated_at) FILTER (WHERE missing IS NULL) AS shortfall,
    sum(attempts)::BIGINT AS attempts,
    min(retry_at) AS next_try
FROM partitions
WHERE state = 'partial'
GROUP BY source, key
ORDER BY sessions DESC, source, key;


-- name: site_labels
-- grain: one row per example spec and month: examples, those labelled, and how many went up
-- Sessions that some spec sets aside are left out: another spec's labels would tell theirs.
SELECT
    spec_id,
    CAST(date_trunc('month', session) AS DATE) AS month,
    count(*) AS examples,
    count(label) AS labelled,
    count(*) FILTER (label = 'up') AS up,
    round(count(*) FILTER (label = 'up') / nullif(count(label), 0), 6) AS up_share
FROM examples
WHERE session NOT IN (SELECT session FROM set_aside)
GROUP BY spec_id, month
ORDER BY spec_id, month;


-- name: site_restated
-- grain: one row per source whose bars were restated
-- A flip: the superseded quote moved the other way from open to close than the latest one.
SELECT
    old.source,
    count(*) AS restated,
    count(*) FILTER (sign(old.close - old.open) <> sign(bars.close - bars.open)) AS flipped,
    max(old.superseded_at) AS last_superseded_at
FROM bar_revisions AS old
JOIN bars USING (ticker, session)
GROUP BY old.source
ORDER BY old.source;
