-- grain: one row per exchange and session
-- The calendar's part of every example: when it is decided, what is known, what the label spans.
CREATE OR REPLACE TEMP TABLE clock AS
WITH numbered AS (
    SELECT
        exchange,
        session,
        open_ts,
        close_ts,
        row_number() OVER by_session                 AS position,
        lag(close_ts) OVER by_session                AS previous_close_ts,
        lead(close_ts, $horizon - 1) OVER by_session AS label_end_ts
    FROM sessions
    WINDOW by_session AS (PARTITION BY exchange ORDER BY session)
), decided AS (
    SELECT
        *,
        CASE WHEN $decide_at = 'open' THEN open_ts ELSE previous_close_ts END
        - $lead::INTERVAL                                                 AS decision_ts,
        CASE WHEN $entry = 'open' THEN open_ts ELSE previous_close_ts END AS label_start_ts
    FROM numbered
)
SELECT
    d.exchange,
    d.session,
    d.position,
    d.close_ts,
    d.decision_ts,
    lag(d.decision_ts) OVER (PARTITION BY d.exchange ORDER BY d.session) AS previous_decision_ts,
    d.label_start_ts,
    d.label_end_ts,
    d.position + $horizon - 1                                            AS end_position,
    known.position                                                       AS known_position,
    known.close_ts + $bar_lag::INTERVAL                                  AS known_available_at
FROM decided AS d
ASOF LEFT JOIN numbered AS known
    ON d.exchange = known.exchange AND d.decision_ts > known.close_ts + $bar_lag::INTERVAL
WHERE d.decision_ts IS NOT NULL AND d.label_start_ts IS NOT NULL;

-- One row per exchange and UTC day (as a number): the first session decided after it began. Days from
-- before the calendar are not there: their news belongs to a session we do not have.
CREATE OR REPLACE TEMP TABLE clock_days AS
WITH days AS (
    SELECT
        exchange,
        unnest(generate_series(
            min(epoch_us(decision_ts)) // 86400000000 + 1,
            max(epoch_us(decision_ts)) // 86400000000
        )) AS day
    FROM clock
    GROUP BY exchange
)
SELECT d.exchange, d.day, c.position, c.decision_ts
FROM days AS d
ASOF JOIN clock AS c
    ON c.exchange = d.exchange AND make_timestamptz(d.day * 86400000000) < c.decision_ts;

-- The exchange of every ticker that is needed; the benchmark need not be a subject itself.
CREATE OR REPLACE TEMP TABLE listings AS
WITH named AS (
    SELECT ticker FROM bars
    UNION
    SELECT ticker FROM headline_tickers
), listed AS (
    SELECT ticker, arg_max(exchange, valid_from) AS exchange FROM tickers GROUP BY ticker
)
SELECT
    n.ticker,
    coalesce(l.exchange, $exchange)                            AS exchange,
    $tickers IS NULL OR list_contains($tickers, n.ticker)      AS is_subject
FROM named AS n
LEFT JOIN listed AS l USING (ticker)
WHERE is_subject OR n.ticker = $benchmark;
