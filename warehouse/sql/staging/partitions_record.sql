-- grain: one merged row per source, key and requested range
-- A repeat of what is already done changes nothing; every other repeat counts as one more attempt.
MERGE INTO partitions AS stored
USING incoming_partitions AS incoming
    ON
        stored.source = incoming.source
        AND stored.key = incoming.key
        AND stored.range_start = incoming.range_start
        AND stored.range_end = incoming.range_end
WHEN MATCHED AND (
    incoming.state <> 'done'
    OR stored.state <> incoming.state
    OR stored.rows <> incoming.rows
    OR stored.payload_id IS DISTINCT FROM incoming.payload_id
    OR stored.error IS DISTINCT FROM incoming.error
) THEN UPDATE SET
    state = incoming.state,
    attempts = stored.attempts + 1,
    rows = incoming.rows,
    payload_id = incoming.payload_id,
    error = incoming.error,
    updated_at = $now::TIMESTAMPTZ
WHEN NOT MATCHED THEN INSERT (
    source, key, range_start, range_end, state, attempts, rows, payload_id, error, updated_at
) VALUES (
    incoming.source, incoming.key, incoming.range_start, incoming.range_end, incoming.state, 1,
    incoming.rows, incoming.payload_id, incoming.error, $now::TIMESTAMPTZ
);
