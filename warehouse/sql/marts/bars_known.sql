-- grain: one row per ticker and session whose bar was known before $asof, in the vintage known then
-- The rule of the decision clock: a first vintage counts as known $bar_lag after the close of its
-- session, whenever it was bought; a later one from when it was recorded. A session that no calendar
-- row tells of is closed at noon UTC of the next day, when its date is over everywhere on Earth.
WITH told AS (
    SELECT * FROM bars
    UNION ALL BY NAME
    SELECT * EXCLUDE (superseded_at) FROM bar_revisions
), listed AS (
    SELECT ticker, arg_max(exchange, valid_from) AS exchange FROM tickers GROUP BY ticker
)
SELECT t.*
FROM told AS t
LEFT JOIN listed AS l USING (ticker)
LEFT JOIN sessions AS s
    ON s.exchange = coalesce(l.exchange, $exchange) AND s.session = t.session
WHERE ($tickers IS NULL OR list_contains($tickers, t.ticker))
    AND coalesce(
        s.close_ts + $bar_lag::INTERVAL,
        (t.session + INTERVAL 36 HOUR)::TIMESTAMPTZ
    ) < $asof
    AND (t.vintage = 1 OR t.recorded_at < $asof)
QUALIFY row_number() OVER (PARTITION BY t.ticker, t.session ORDER BY t.vintage DESC) = 1;
