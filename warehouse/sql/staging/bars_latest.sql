-- grain: one row per ticker and session, as read from the latest of several answers
SELECT * EXCLUDE (reading)
FROM readings
QUALIFY row_number() OVER (PARTITION BY ticker, session ORDER BY reading DESC) = 1
ORDER BY ticker, session;
