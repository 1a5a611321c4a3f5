-- grain: one row per landed answer of a source, in the order of fetching
SELECT
    source,
    url,
    payload_id,
    status,
    headers,
    fetched_at
FROM payloads
WHERE source = $source AND status = 200
ORDER BY fetched_at, url, payload_id;
