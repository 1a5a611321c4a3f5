-- grain: one row per exchange in use
-- The dates for which sessions are needed: all that bars or headlines speak of, as UTC dates.
WITH told AS (
    SELECT ticker, min(session) AS first_date, max(session) AS last_date
    FROM bars
    GROUP BY ticker
    UNION ALL
    SELECT a.ticker, min(h.available_at)::DATE, max(h.available_at)::DATE
    FROM headline_tickers AS a
    JOIN headlines AS h USING (headline_id)
    GROUP BY a.ticker
), listed AS (
    SELECT ticker, arg_max(exchange, valid_from) AS exchange FROM tickers GROUP BY ticker
)
SELECT
    coalesce(l.exchange, $exchange) AS exchange,
    min(t.first_date)               AS first_date,
    max(t.last_date)                AS last_date
FROM told AS t
LEFT JOIN listed AS l USING (ticker)
WHERE $tickers IS NULL OR list_contains($tickers, t.ticker)
GROUP BY ALL
ORDER BY exchange;
