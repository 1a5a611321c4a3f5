-- grain: one row per ticker, ex-date and kind, in the vintage known before $asof
-- A first vintage counts as known all along: without a split that a later quote holds, the quote could
-- not be put back on the share basis of $asof. Such a split, still to come at $asof, is the one in force.
WITH told AS (
    SELECT * FROM actions
    UNION ALL BY NAME
    SELECT * EXCLUDE (superseded_at) FROM action_revisions
)
SELECT *
FROM told
WHERE ($tickers IS NULL OR list_contains($tickers, ticker))
    AND (vintage = 1 OR recorded_at < $asof OR ex_date > $asof::TIMESTAMPTZ::DATE)
QUALIFY row_number() OVER (PARTITION BY ticker, ex_date, kind ORDER BY vintage DESC) = 1;
