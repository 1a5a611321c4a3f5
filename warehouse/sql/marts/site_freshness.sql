-- grain: one row per source that has ever been asked or has ever delivered
WITH delivered AS (
    SELECT source, 'bars' AS kind, count(*) AS rows, max(session) AS latest_record
    FROM bars
    GROUP BY source
    UNION ALL
    SELECT source, 'headlines', count(*), CAST(max(published_at) AT TIME ZONE 'UTC' AS DATE)
    FROM headlines
    GROUP BY source
),
asked AS (
    SELECT source, max(fetched_at) AS last_fetched_at, count(*) AS payloads, sum(bytes) AS bytes
    FROM payloads
    GROUP BY source
),
failing AS (
    SELECT source, count(*) AS failed_requests
    FROM partitions
    WHERE state = 'failed'
    GROUP BY source
)
SELECT
    source,
    kind,
    coalesce(rows, 0) AS rows,
    latest_record,
    last_fetched_at,
    coalesce(payloads, 0) AS payloads,
    CAST(coalesce(bytes, 0) AS BIGINT) AS bytes,
    coalesce(failed_requests, 0) AS failed_requests
FROM delivered
FULL JOIN asked USING (source)
FULL JOIN failing USING (source)
ORDER BY kind, source;
