-- grain: one row per source and key (ticker, * for a general feed, or an archive)
-- stale: the source was not asked with success within $stale_after, by $now. newest_item: the latest
-- bar session (its midnight, UTC) or headline that the source gave for the key.
WITH asked AS (
    SELECT
        source,
        key,
        max(updated_at) FILTER (WHERE state = 'done') AS last_success_at,
        max(updated_at) FILTER (WHERE state = 'failed') AS last_failure_at,
        arg_max(error, updated_at) FILTER (WHERE state = 'failed') AS last_error,
        count(*) FILTER (WHERE state = 'failed') AS failed_ranges,
        sum(attempts)::BIGINT AS attempts,
        sum(rows)::BIGINT AS rows
    FROM partitions
    GROUP BY source, key
),

given AS (
    -- By the payload's source: several feeds may share a publisher.
    SELECT
        payloads.source,
        headline_tickers.ticker AS key,
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
    asked.source,
    asked.key,
    asked.last_success_at,
    asked.last_failure_at,
    -- An error that a later success made good is no longer news.
    CASE
        WHEN asked.last_failure_at > coalesce(asked.last_success_at, '-infinity'::TIMESTAMPTZ)
            THEN asked.last_error
    END AS last_error,
    asked.failed_ranges,
    asked.attempts,
    asked.rows,
    given.newest_item,
    coalesce(
        asked.last_success_at < $now::TIMESTAMPTZ - $stale_after::INTERVAL, TRUE
    ) AS stale
FROM asked
LEFT JOIN given USING (source, key)
ORDER BY stale DESC, asked.source, asked.key;
