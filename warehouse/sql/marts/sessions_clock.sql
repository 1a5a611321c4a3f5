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
    known.position                                                       AS known_position,
    known.close_ts + $bar_lag::INTERVAL                                  AS known_available_at
FROM decided AS d
ASOF LEFT JOIN numbered AS known
    ON d.exchange = known.exchange AND d.decision_ts > known.close_ts + $bar_lag::INTERVAL
WHERE d.decision_ts IS NOT NULL AND d.label_start_ts IS NOT NULL;

-- The number of an instant's UTC day, counted from the first of January of the year 1.
CREATE OR REPLACE TEMP MACRO utc_day(instant) AS
    (epoch_us(instant) + 62135596800000000) // 86400000000;

-- One row per exchange and UTC day: the first session decided after it began, and the one after that.
-- Days from before the calendar are not there: their news belongs to a session we do not have.
CREATE OR REPLACE TEMP TABLE clock_days AS
WITH followed AS (
    SELECT
        *,
        lead(session) OVER (PARTITION BY exchange ORDER BY position)        AS next_session,
        -- A day that begins at the very instant of a decision belongs to the session after it.
        utc_day(previous_decision_ts + INTERVAL 1 DAY - INTERVAL 1 MICROSECOND) AS first_day,
        utc_day(decision_ts - INTERVAL 1 MICROSECOND)                           AS last_day
    FROM clock
)
SELECT
    exchange,
    unnest(generate_series(first_day, last_day)) AS day,
    decision_ts,
    position,
    session,
    next_session
FROM followed
WHERE previous_decision_ts IS NOT NULL;

-- The exchange of every ticker that is needed; the benchmark need not be a subject itself.
-- A ticker and a session together are a cell: number * 1000000 + position.
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
    row_number() OVER (ORDER BY n.ticker)                      AS number,
    coalesce(l.exchange, $exchange)                            AS exchange,
    $tickers IS NULL OR list_contains($tickers, n.ticker)      AS is_subject
FROM named AS n
LEFT JOIN listed AS l USING (ticker)
WHERE is_subject OR n.ticker = $benchmark;

-- Where each ticker's bars begin, and where those of its exchange end.
CREATE OR REPLACE TEMP TABLE ends AS
WITH told AS (
    SELECT l.exchange, l.number, min(b.session) AS first_session, max(b.session) AS last_session
    FROM bars AS b
    JOIN listings AS l USING (ticker)
    GROUP BY ALL
)
SELECT t.exchange, t.number, t.first_session, max(c.position) AS last_position
FROM (SELECT *, max(last_session) OVER (PARTITION BY exchange) AS latest FROM told) AS t
JOIN clock AS c ON c.exchange = t.exchange AND c.session <= t.latest
GROUP BY ALL;
