-- grain: one row per headline and ticker it was seen under
SELECT
    headline_id,
    ticker,
    min(method) AS method
FROM identified
WHERE ticker IS NOT NULL
GROUP BY headline_id, ticker
ORDER BY headline_id, ticker;
