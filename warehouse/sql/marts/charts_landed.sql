-- grain: one row per landed chart answer of a price source, oldest first
SELECT
    payload_id,
    url,
    headers,
    fetched_at
FROM payloads
WHERE source = $source AND status = 200 AND url LIKE '%/v8/finance/chart/%'
ORDER BY fetched_at, url, payload_id;
