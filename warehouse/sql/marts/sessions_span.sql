-- grain: one row per exchange in use
-- first_date, last_date: the UTC dates that bars and headlines speak of.
-- laid_from, laid_until: the sessions already stored from this release of the calendar.
WITH named AS (
    SELECT ticker FROM bars
    UNION
    SELECT ticker FROM headline_tickers
), listed AS (
    SELECT ticker, arg_max(exchange, valid_from) AS exchange FROM tickers GROUP BY ticker
), used AS (
    SELECT DISTINCT coalesce(l.exchange, $exchange) AS exchange
    FROM named AS n
    LEFT JOIN listed AS l USING (ticker)
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
