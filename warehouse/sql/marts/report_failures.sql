-- grain: one row per request range that has failed and not been served since
SELECT source, key, range_start, range_end, attempts, error
FROM partitions
WHERE state = 'failed'
ORDER BY source, key, range_start, range_end;
