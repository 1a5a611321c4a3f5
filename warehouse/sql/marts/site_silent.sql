-- grain: one row per ticker traded in the last 30 days but not predicted for the latest forward session
WITH latest AS (
    SELECT max(session) AS session
    FROM predictions
    WHERE kind = 'forward'
),
traded AS (
    SELECT DISTINCT ticker
    FROM bars
    JOIN latest ON bars.session BETWEEN latest.session - 30 AND latest.session
),
predicted AS (
    SELECT DISTINCT ticker
    FROM predictions
    JOIN latest USING (session)
    WHERE kind = 'forward'
)
SELECT ticker
FROM traded
ANTI JOIN predicted USING (ticker)
ORDER BY ticker;
