-- Sessions of the exchanges.


-- name: sessions_stored
-- grain: one row per exchange with stored sessions
-- is_current: all of them come from the release $calendar_version.
SELECT
    exchange,
    min(session) AS first,
    max(session) AS last,
    bool_and(calendar_version IS NOT DISTINCT FROM $calendar_version) AS is_current
FROM sessions
GROUP BY exchange;


-- name: sessions_publish
-- writes: sessions (exchange, session), idempotent
-- grain: one row per exchange and session of the calendar, which covers all that is stored
-- Sessions that the calendar no longer has go; new and changed ones come.
DELETE FROM sessions
WHERE exchange IN (SELECT exchange FROM calendar)
    AND (exchange, session) NOT IN (SELECT (exchange, session) FROM calendar);

MERGE INTO sessions AS stored
USING calendar AS listed ON stored.exchange = listed.exchange AND stored.session = listed.session
WHEN MATCHED AND (
    stored.open_ts <> listed.open_ts
    OR stored.close_ts <> listed.close_ts
    OR stored.calendar_version IS DISTINCT FROM $calendar_version
) THEN UPDATE SET
    open_ts = listed.open_ts,
    close_ts = listed.close_ts,
    calendar_version = $calendar_version
WHEN NOT MATCHED THEN INSERT (exchange, session, open_ts, close_ts, calendar_version)
    VALUES (listed.exchange, listed.session, listed.open_ts, listed.close_ts, $calendar_version);


-- name: sessions_span
-- feeds: sessions
-- grain: one row per exchange in use, with the UTC dates that bars and headlines speak of
-- A stored date that is a slip of the pen asks for no sessions: no calendar has them.
WITH named AS (
    SELECT ticker FROM bars
    UNION
    SELECT ticker FROM headline_tickers
), used AS (
    SELECT DISTINCT coalesce(l.exchange, $exchange) AS exchange
    FROM named AS n
    LEFT JOIN ticker_exchanges AS l USING (ticker)
    WHERE $tickers IS NULL OR list_contains($tickers, n.ticker) OR n.ticker = $benchmark
), dated AS (
    SELECT min(first_date) AS first_date, max(last_date) AS last_date
    FROM (
        SELECT min(session) AS first_date, max(session) AS last_date
        FROM bars
        WHERE session BETWEEN DATE '1900-01-01' AND DATE '2100-01-01'
        UNION ALL
        SELECT min(available_at)::DATE, max(available_at)::DATE
        FROM headlines
        WHERE available_at BETWEEN TIMESTAMPTZ '1900-01-01' AND TIMESTAMPTZ '2100-01-01'
    )
)
SELECT used.exchange, dated.first_date, dated.last_date
FROM used
CROSS JOIN dated
ORDER BY used.exchange;


-- name: sessions_of_exchange
-- grain: one row per session of one exchange
SELECT exchange, session, open_ts, close_ts
FROM sessions
WHERE exchange = $exchange
ORDER BY session;


-- name: last_finished_session
-- grain: one row, the last finished session of an exchange within a date range (NULL if none)
SELECT max(session) AS session
FROM sessions
WHERE exchange = $exchange AND session BETWEEN $first AND $last AND close_ts < $now;
