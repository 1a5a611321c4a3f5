-- grain: one row per ticker and session, the last five sessions of each ticker
SELECT *
FROM bars
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY session DESC) <= 5;
