-- grain: one row per session of one exchange
SELECT exchange, session, open_ts, close_ts
FROM sessions
WHERE exchange = $exchange
ORDER BY session;
