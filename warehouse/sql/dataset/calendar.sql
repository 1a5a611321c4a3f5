-- The decision clock laid over the calendar, and the batches of sessions built at a time.


-- name: sessions_clock
-- builds: clock, clock_days, lent, spans, listings, ends, members
-- grain: one row per exchange and session
-- The calendar's part of every example: when it is decided, what is known, what the label spans.
CREATE OR REPLACE TEMP TABLE clock AS
WITH numbered AS (
    SELECT
        exchange, session, open_ts, close_ts,
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
    d.exchange, d.session, d.position, d.close_ts, d.decision_ts,
    lag(d.decision_ts) OVER (PARTITION BY d.exchange ORDER BY d.session) AS previous_decision_ts,
    d.label_start_ts,
    d.label_end_ts,
    known.position                                                       AS known_position,
    known.close_ts + $bar_lag::INTERVAL                                  AS known_available_at
FROM decided AS d
ASOF LEFT JOIN numbered AS known
    ON d.exchange = known.exchange AND d.decision_ts > known.close_ts + $bar_lag::INTERVAL
WHERE d.decision_ts IS NOT NULL AND d.label_start_ts IS NOT NULL;

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
    decision_ts, position, session, next_session
FROM followed
WHERE previous_decision_ts IS NOT NULL;

-- A renamed share has two tickers: until the day of the renaming each lends the other what it lacks, and the
-- later one lends its bars after that day too, for windows that reach across it.
CREATE OR REPLACE TEMP TABLE lent AS
WITH renamings AS (
    SELECT DISTINCT alias AS former, ticker, valid_from AS renamed_on
    FROM tickers
    WHERE kind = 'former_symbol'
)
SELECT former AS lender, ticker, renamed_on, renamed_on AS bars_until FROM renamings
UNION ALL
SELECT ticker, former, renamed_on, 'infinity'::DATE FROM renamings;

-- The sessions of each ticker's bars, found in one reading of a long table.
CREATE OR REPLACE TEMP TABLE spans AS
SELECT
    ticker,
    min(session)                       AS first_session,
    max(session)                       AS last_session,
    min(session) FILTER (volume > 0)   AS first_traded
FROM bars
GROUP BY ticker;

-- The exchange of every ticker that is needed; the benchmark need not be a subject itself.
-- A ticker and a session together are a cell (see macros.sql). traded_from: the first session with any volume,
-- or the first of all if those before quote one price: a listing that does not trade yet, not an index.
CREATE OR REPLACE TEMP TABLE listings AS
WITH stored AS (
    SELECT ticker FROM spans
    UNION
    SELECT ticker FROM headline_tickers
), named AS (
    SELECT ticker FROM stored
    UNION
    SELECT ticker FROM lent WHERE lender IN (SELECT ticker FROM stored)
), quoted AS (
    SELECT bars.ticker, min(bars.session) AS first_session
    FROM bars
    JOIN spans AS s ON s.ticker = bars.ticker AND s.first_session < s.first_traded
    WHERE bars.session < s.first_traded
    GROUP BY bars.ticker
    HAVING count(DISTINCT bars.close) = 1
)
SELECT
    n.ticker,
    row_number() OVER (ORDER BY n.ticker)                      AS number,
    coalesce(l.exchange, $exchange)                            AS exchange,
    $tickers IS NULL OR list_contains($tickers, n.ticker)      AS is_subject,
    coalesce(q.first_session, s.first_traded)                  AS traded_from
FROM named AS n
LEFT JOIN ticker_exchanges AS l USING (ticker)
LEFT JOIN spans AS s USING (ticker)
LEFT JOIN quoted AS q USING (ticker)
WHERE is_subject OR n.ticker = $benchmark;

-- Where each ticker's bars begin, and where those of its exchange end.
CREATE OR REPLACE TEMP TABLE ends AS
WITH quoted AS (
    SELECT ticker, first_session, last_session FROM spans
    UNION ALL
    SELECT t.ticker, min(b.session), max(b.session)
    FROM lent AS t
    JOIN bars AS b ON b.ticker = t.lender AND b.session < t.bars_until
    GROUP BY t.ticker
), spanned AS (
    SELECT ticker, min(first_session) AS first_session, max(last_session) AS last_session
    FROM quoted
    GROUP BY ticker
), latest AS (
    SELECT l.exchange, max(s.last_session) AS last_session
    FROM spanned AS s
    JOIN listings AS l USING (ticker)
    GROUP BY l.exchange
), closing AS (
    SELECT t.exchange, max(c.position) AS last_position
    FROM latest AS t
    JOIN clock AS c ON c.exchange = t.exchange AND c.session <= t.last_session
    GROUP BY t.exchange
)
SELECT c.exchange, l.number, s.first_session, c.last_position
FROM spanned AS s
JOIN listings AS l USING (ticker)
JOIN closing AS c USING (exchange);

-- The cells of a dated universe's memberships, first and last included; empty for any other (see
-- universe_members).
CREATE OR REPLACE TEMP TABLE members (number BIGINT, first_cell BIGINT, last_cell BIGINT);


-- name: universe_members
-- builds: members
-- grain: one row per membership of the spec's dated universe that holds a session
-- A ticker is a member on a session that is not before its first day and before the day it is none any more.
INSERT INTO members
SELECT l.number, min(cell_of(l.number, c.position)), max(cell_of(l.number, c.position))
FROM memberships AS m
JOIN listings AS l USING (ticker)
JOIN clock AS c
    ON c.exchange = l.exchange
    AND c.session >= m.member_from AND c.session < coalesce(m.member_until, 'infinity'::DATE)
WHERE m.universe = $universe
GROUP BY l.number, m.member_from;


-- name: examples_batches
-- grain: one row per batch of sessions built at a time, oldest first; together they are all
-- Batches hold about $batch_rows headlines (or tickers, where every session counts), so that what is
-- in memory does not grow with the warehouse. from_session is inclusive, until_session exclusive;
-- headlines of the batch are available from from_ts until until_ts, its bars are those of bars_from
-- to bars_until. Times are NULL where there is nothing to look at.
WITH daily AS (
    SELECT utc_day(available_at) AS day, count(*) AS headlines
    FROM headlines
    -- Older ones weigh in no session that is built.
    WHERE available_at >= $from_session::TIMESTAMPTZ - INTERVAL 1 MONTH
    GROUP BY ALL
), weights AS (
    SELECT d.session, sum(coalesce(h.headlines, 0)) AS weight
    FROM clock_days AS d
    LEFT JOIN daily AS h USING (day)
    WHERE d.session >= $from_session
    GROUP BY ALL
), numbered AS (
    SELECT
        session,
        sum(weight + CASE WHEN $min_headlines = 0 THEN (SELECT count(*) FROM listings) ELSE 0 END)
            OVER (ORDER BY session) // $batch_rows AS batch
    FROM weights
), cuts AS (
    SELECT $from_session AS from_session
    UNION
    SELECT min(session) FROM numbered WHERE batch > 0 GROUP BY batch
), batches AS (
    SELECT
        from_session,
        lead(from_session, 1, DATE '9999-12-31') OVER (ORDER BY from_session) AS until_session
    FROM cuts
), bounds AS (
    SELECT
        s.from_session, s.until_session, c.exchange,
        min(c.previous_decision_ts)                                AS from_ts,
        max(c.decision_ts)                                         AS until_ts,
        -- Sessions that labels, earlier returns and context look back at, and the label's last.
        min(c.position) - $horizon - $lookback - 2                 AS first_position,
        max(c.position) + $horizon - 1                             AS last_position
    FROM batches AS s
    LEFT JOIN clock AS c ON c.session >= s.from_session AND c.session < s.until_session
    GROUP BY ALL
)
SELECT
    b.from_session,
    b.until_session,
    min(b.from_ts)  AS from_ts,
    max(b.until_ts) AS until_ts,
    min(c.session)  AS bars_from,
    max(c.session)  AS bars_until
FROM bounds AS b
LEFT JOIN clock AS c
    ON c.exchange = b.exchange AND c.position BETWEEN b.first_position AND b.last_position
GROUP BY ALL
ORDER BY b.from_session;
