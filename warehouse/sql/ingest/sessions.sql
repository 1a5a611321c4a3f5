-- Sessions of the exchanges.


-- name: sessions_publish
-- writes: sessions (exchange, session), idempotent
-- grain: one row per exchange and session laid out
-- Sessions the calendar no longer has go; new and changed ones come.
DELETE FROM sessions
WHERE (exchange, session) NOT IN (SELECT (exchange, session) FROM calendar)
    AND EXISTS (
        SELECT 1
        FROM (SELECT exchange, min(session) AS a, max(session) AS z FROM calendar GROUP BY exchange)
            AS laid
        WHERE laid.exchange = sessions.exchange AND sessions.session BETWEEN laid.a AND laid.z
    );

MERGE INTO sessions AS stored
USING calendar AS told ON stored.exchange = told.exchange AND stored.session = told.session
WHEN MATCHED AND (
    stored.open_ts <> told.open_ts
    OR stored.close_ts <> told.close_ts
    OR stored.calendar_version IS DISTINCT FROM $calendar_version
) THEN UPDATE SET
    open_ts = told.open_ts,
    close_ts = told.close_ts,
    calendar_version = $calendar_version
WHEN NOT MATCHED THEN INSERT (exchange, session, open_ts, close_ts, calendar_version)
    VALUES (told.exchange, told.session, told.open_ts, told.close_ts, $calendar_version);


-- name: sessions_span
-- grain: one row per exchange in use
-- first_date, last_date: the UTC dates that bars and headlines speak of.
-- laid_from, laid_until: the sessions already stored from this release of the calendar.
WITH named AS (
    SELECT ticker FROM bars
    UNION
    SELECT ticker FROM headline_tickers
), used AS (
    SELECT DISTINCT coalesce(l.exchange, $exchange) AS exchange
    FROM named AS n
    LEFT JOIN ticker_exchanges AS l USING (ticker)
    WHERE $tickers IS NULL OR list_contains($tickers, n.ticker) OR n.ticker = $benchmark
), told AS (
    SELECT min(first_date) AS first_date, max(last_date) AS last_date
    FROM (
        SELECT min(session) AS first_date, max(session) AS last_date FROM bars
        UNION ALL
        SELECT min(available_at)::DATE, max(available_at)::DATE FROM headlines
    )
)
SELECT
    used.exchange,
    told.first_date,
    told.last_date,
    min(s.session) AS laid_from,
    max(s.session) AS laid_until
FROM used
CROSS JOIN told
LEFT JOIN sessions AS s
    ON s.exchange = used.exchange AND s.calendar_version = $calendar_version
GROUP BY ALL
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
