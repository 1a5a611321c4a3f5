-- grain: one row per exchange and session that is not stored as given
SELECT exchange, session, open_ts, close_ts FROM calendar
EXCEPT
SELECT exchange, session, open_ts, close_ts FROM sessions
ORDER BY exchange, session;
