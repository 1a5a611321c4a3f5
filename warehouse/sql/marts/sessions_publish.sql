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
