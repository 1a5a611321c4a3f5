-- grain: one row per key and range that a source has delivered
SELECT key, range_start, range_end
FROM partitions
WHERE source = $source AND state = 'done'
ORDER BY key, range_start;
