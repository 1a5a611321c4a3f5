-- grain: one row per address of a source whose latest answer can be asked for conditionally
SELECT
    source,
    url,
    payload_id,
    status,
    headers,
    fetched_at
FROM payloads
WHERE source = $source
QUALIFY
    row_number() OVER (PARTITION BY url ORDER BY fetched_at DESC, payload_id) = 1
    AND (contains(headers, '"etag"') OR contains(headers, '"last-modified"'))
ORDER BY url;
