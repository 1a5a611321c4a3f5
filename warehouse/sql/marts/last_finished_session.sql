-- grain: one row, the last finished session of an exchange within a date range (NULL if none)
SELECT max(session) AS session
FROM sessions
WHERE exchange = $exchange AND session BETWEEN $first AND $last AND close_ts < $now;
