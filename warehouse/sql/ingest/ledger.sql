-- The ledger of requests, the payloads behind them, and the quarantine.


-- name: ranges_done
-- grain: one row per key and range that a source has delivered
SELECT key, range_start, range_end
FROM partitions
WHERE source = $source AND state = 'done'
ORDER BY key, range_start;


-- name: partitions_record
-- writes: partitions (source, key, range_start, range_end), idempotent
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


-- name: payloads_record
-- writes: payloads (payload_id, url), idempotent
-- grain: one inserted row per payload and URL not yet known; the first fetch of equal bytes keeps its time
INSERT INTO payloads BY NAME
SELECT incoming_payloads.*
FROM incoming_payloads
ANTI JOIN payloads USING (payload_id, url)
QUALIFY row_number() OVER (PARTITION BY payload_id, url ORDER BY fetched_at) = 1;


-- name: quarantine_record
-- writes: quarantine (quarantine_id), idempotent
-- grain: one inserted row per rejected record and reason not yet known
-- The id leaves the payload out: the same bad row read again in another answer is the same rejection.
INSERT INTO quarantine BY NAME
WITH identified AS (
    SELECT
        sha256(concat_ws(chr(31), kind, source, key, reason, record)) AS quarantine_id,
        kind, source, key, reason, record, payload_id, $now::TIMESTAMPTZ AS quarantined_at
    FROM incoming_rejects
)

SELECT identified.*
FROM identified
ANTI JOIN quarantine USING (quarantine_id)
QUALIFY row_number() OVER (PARTITION BY quarantine_id ORDER BY payload_id) = 1;


-- name: feed_answers
-- grain: one row per landed answer of a source, in the order of fetching
SELECT source, url, payload_id, status, headers, fetched_at
FROM payloads
WHERE source = $source AND status = 200
ORDER BY fetched_at, url, payload_id;


-- name: feed_answers_cached
-- grain: one row per address of a source whose latest answer can be requested conditionally
SELECT source, url, payload_id, status, headers, fetched_at
FROM payloads
WHERE source = $source
QUALIFY
    row_number() OVER (PARTITION BY url ORDER BY fetched_at DESC, payload_id) = 1
    AND (contains(headers, '"etag"') OR contains(headers, '"last-modified"'))
ORDER BY url;


-- name: charts_landed
-- grain: one row per landed chart answer of a price source, oldest first
SELECT payload_id, url, headers, fetched_at
FROM payloads
WHERE source = $source AND status = 200 AND url LIKE '%/v8/finance/chart/%'
ORDER BY fetched_at, url, payload_id;


-- name: sources_check
-- grain: one row per source and key (ticker, * for a general feed, or an archive)
-- stale: the source was not requested with success within $stale_after, by $now. newest_item: the latest
-- bar session (its midnight, UTC) or headline of the source for the key.
WITH requested AS (
    SELECT
        source, key,
        max(updated_at) FILTER (WHERE state = 'done') AS last_success_at,
        max(updated_at) FILTER (WHERE state = 'failed') AS last_failure_at,
        arg_max(error, updated_at) FILTER (WHERE state = 'failed') AS last_error,
        count(*) FILTER (WHERE state = 'failed') AS failed_ranges,
        sum(attempts)::BIGINT AS attempts,
        sum(rows)::BIGINT AS rows
    FROM partitions
    GROUP BY source, key
),

newest AS (
    -- By the payload's source: several feeds may share a publisher.
    SELECT
        payloads.source, headline_tickers.ticker AS key,
        max(headlines.published_at) AS newest_item
    FROM headlines
    INNER JOIN headline_tickers USING (headline_id)
    INNER JOIN payloads USING (payload_id)
    GROUP BY ALL
    UNION ALL
    SELECT payloads.source, '*' AS key, max(headlines.published_at) AS newest_item
    FROM headlines
    INNER JOIN payloads USING (payload_id)
    GROUP BY ALL
    UNION ALL
    SELECT source, ticker AS key, max(session)::TIMESTAMPTZ AS newest_item FROM bars GROUP BY ALL
)

SELECT
    requested.source, requested.key, requested.last_success_at, requested.last_failure_at,
    -- An error that a later success made good is no longer news.
    CASE
        WHEN requested.last_failure_at > coalesce(requested.last_success_at, '-infinity'::TIMESTAMPTZ)
            THEN requested.last_error
    END AS last_error,
    requested.failed_ranges, requested.attempts, requested.rows, newest.newest_item,
    coalesce(
        requested.last_success_at < $now::TIMESTAMPTZ - $stale_after::INTERVAL, TRUE
    ) AS stale
FROM requested
LEFT JOIN newest USING (source, key)
ORDER BY stale DESC, requested.source, requested.key;
