-- grain: one row per ticker of one slice of an archive, over the sessions it holds there
SELECT
    $source AS source,
    ticker AS key,
    min(session) AS range_start,
    max(session) AS range_end,
    'done' AS state,
    count(*) AS rows,
    $payload_id AS payload_id,
    NULL::VARCHAR AS error
FROM bars
GROUP BY ticker
ORDER BY ticker;
