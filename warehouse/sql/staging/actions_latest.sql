-- grain: one row per ticker, ex-date and kind, as read from the latest of several answers
SELECT * EXCLUDE (reading)
FROM readings
QUALIFY row_number() OVER (PARTITION BY ticker, ex_date, kind ORDER BY reading DESC) = 1
ORDER BY ticker, ex_date, kind;
