-- grain: one row per kind of record and source
WITH counted AS (
    SELECT 'bars' AS kind, source, ticker, session AS day, payload_id, false AS synthetic
    FROM bars
    UNION ALL
    SELECT 'actions', source, ticker, ex_date, payload_id, false
    FROM actions
    UNION ALL
    SELECT 'headlines', source, NULL, CAST(published_at AT TIME ZONE 'UTC' AS DATE), payload_id, synthetic
    FROM headlines
),
rejected AS (
    SELECT kind || 's' AS kind, source, count(DISTINCT key) AS quarantined
    FROM quarantine
    GROUP BY ALL
)
SELECT
    kind,
    source,
    count(*) AS rows,
    count(DISTINCT ticker) AS tickers,
    min(day) AS first_day,
    max(day) AS last_day,
    count(DISTINCT payload_id) AS payloads,
    bool_or(synthetic) AS synthetic,
    coalesce(any_value(quarantined), 0) AS quarantined
FROM counted
LEFT JOIN rejected USING (kind, source)
GROUP BY kind, source
ORDER BY kind, source;
