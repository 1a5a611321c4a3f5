-- The ledger of requests, the payloads behind them, and the quarantine.


-- name: ranges_answered
-- grain: one row per key and range that a source has answered; what is missing in it is due at its time
SELECT key, range_start, range_end
FROM partitions
WHERE source = $source AND state <> 'failed'
ORDER BY key, range_start;


-- name: ranges_due
-- grain: one row per key and range that a source still owes and that is asked again by $now
-- Missing sessions at most $reach days apart are one range. That a range before the first bar of a ticker
-- is empty needs no second look.
WITH owed AS (
    SELECT key, range_start, range_end, state, missing
    FROM partitions
    WHERE source = $source AND state IN ('partial', 'empty') AND retry_at <= $now::TIMESTAMPTZ
),

listed AS (
    SELECT ticker AS key, min(session) AS session
    FROM bars
    WHERE ticker IN (SELECT key FROM owed WHERE state = 'empty')
    GROUP BY ticker
),

due AS (
    SELECT owed.*
    FROM owed
    LEFT JOIN listed USING (key)
    WHERE owed.state = 'partial' OR listed.session IS NULL OR listed.session <= owed.range_end
),

sessions AS (
    SELECT DISTINCT key, unnest(missing) AS session
    FROM due
),

parted AS (
    SELECT
        key, session,
        coalesce(session - lag(session) OVER by_session > $reach, TRUE) AS begins
    FROM sessions
    WINDOW by_session AS (PARTITION BY key ORDER BY session)
),

numbered AS (
    SELECT key, session, count(*) FILTER (WHERE begins) OVER by_session AS island
    FROM parted
    WINDOW by_session AS (PARTITION BY key ORDER BY session)
)

SELECT key, min(session) AS range_start, max(session) AS range_end
FROM numbered
GROUP BY key, island
UNION ALL
SELECT key, range_start, range_end
FROM due
WHERE missing IS NULL
ORDER BY key, range_start, range_end;


-- name: ranges_incomplete
-- grain: one row per key and range of $source in which something is missing, within $first to $last
-- keys NULL: all. missing: in words.
SELECT
    key, range_start, range_end, expected, received,
    coalesce(
        len(missing) || ' of ' || expected || ' sessions are missing (' || in_few_words(missing) || ')',
        error
    ) AS missing,
    retry_at
FROM partitions
WHERE
    source = $source AND state = 'partial'
    AND ($keys IS NULL OR list_contains($keys, key))
    AND range_start <= $last AND range_end >= $first
ORDER BY key, range_start, range_end;


-- name: bars_first
-- grain: one row per ticker of $tickers that has a bar, with its first session on record
SELECT ticker, min(session) AS session
FROM bars
WHERE list_contains($tickers, ticker)
GROUP BY ticker;


-- name: bar_ledger
-- grain: one row per answer: which sessions of $start to $end were expected of it, came, and are missing
-- Tables: answers (ticker, listed, last_traded, first_known, vacant, ended, gone, payload_id, error), in order;
-- bars; rejects; calendar. A quarantined bar has come, an unfinished one has not. listed and last_traded are the
-- vendor's words; without them a listing begins with the first bar ever received. That trading has ended is
-- believed of the vendor after $settled days; until then a bar may only be late. ended: since when a ticker is no
-- member of a dated universe; where the vendor says nothing, its last bar is then the end of its trading. gone:
-- the vendor no longer knows such a ticker.
WITH received AS (
    SELECT ticker, session FROM bars
    UNION
    SELECT split_part(key, '@', 1), try_cast(split_part(key, '@', 2) AS DATE)
    FROM rejects
    WHERE kind = 'bar' AND reason <> 'session is unfinished'
),

reached AS (
    SELECT ticker, min(session) AS first, max(session) AS last
    FROM received
    GROUP BY ticker
),

spans AS (
    SELECT
        answers.ticker,
        greatest($start::DATE, least(
            coalesce(answers.listed, answers.first_known, reached.first),
            answers.first_known, reached.first
        )) AS first,
        least($end::DATE, CASE
            WHEN answers.last_traded < $today::DATE - $settled
                THEN greatest(answers.last_traded, reached.last)
            WHEN answers.last_traded IS NULL AND answers.ended < $today::DATE - $settled
                THEN coalesce(reached.last, $start::DATE - 1)
        END) AS last
    FROM answers
    LEFT JOIN reached USING (ticker)
),

sessions AS (
    SELECT spans.ticker, calendar.session, received.session IS NOT NULL AS came
    FROM spans
    INNER JOIN calendar ON calendar.session BETWEEN spans.first AND spans.last
    LEFT JOIN received ON spans.ticker = received.ticker AND calendar.session = received.session
),

counted AS (
    SELECT
        ticker,
        count(*) AS expected,
        count(*) FILTER (WHERE came) AS received,
        coalesce(list(session ORDER BY session) FILTER (WHERE NOT came), []) AS missing
    FROM sessions
    GROUP BY ticker
),

kept AS (
    SELECT ticker, count(*) AS rows
    FROM bars
    WHERE session >= $start
    GROUP BY ticker
)

SELECT
    $source AS source, answers.ticker AS key, $start::DATE AS range_start, $end::DATE AS range_end,
    CASE
        WHEN answers.error IS NOT NULL AND NOT coalesce(answers.gone, FALSE) THEN 'failed'
        WHEN answers.vacant OR counted.expected IS NULL THEN 'empty'
        WHEN len(counted.missing) > 0 THEN 'partial'
        ELSE 'done'
    END AS state,
    coalesce(kept.rows, 0) AS rows,
    CASE WHEN NOT answers.vacant THEN coalesce(counted.expected, 0) END AS expected,
    coalesce(counted.received, 0) AS received,
    CASE WHEN state = 'partial' THEN counted.missing END AS missing,
    answers.payload_id, answers.error,
    -- "Nothing there" without a listing to go by may be a mistake of the vendor's.
    answers.vacant OR state = 'partial' OR coalesce(answers.gone AND $start < answers.ended, FALSE) AS again
FROM answers
LEFT JOIN counted USING (ticker)
LEFT JOIN kept USING (ticker)
ORDER BY answers.position;


-- name: partitions_incoming
-- grain: one row per incoming range, less the sessions that some source has brought
WITH lacking AS (
    SELECT source, key, range_start, range_end, unnest(missing) AS session
    FROM incoming_partitions
),

lasting AS (
    SELECT
        lacking.source, lacking.key, lacking.range_start, lacking.range_end,
        list(lacking.session ORDER BY lacking.session) AS missing
    FROM lacking
    ANTI JOIN bars ON lacking.key = bars.ticker AND lacking.session = bars.session
    GROUP BY ALL
)

SELECT
    incoming.* EXCLUDE (state, rows, received, missing, again),
    incoming.rows + coalesce(len(incoming.missing) - coalesce(len(lasting.missing), 0), 0) AS rows,
    CASE
        WHEN incoming.missing IS NULL THEN incoming.received
        ELSE incoming.expected - coalesce(len(lasting.missing), 0)
    END AS received,
    lasting.missing,
    CASE
        WHEN incoming.missing IS NOT NULL AND lasting.missing IS NULL THEN 'done'
        ELSE incoming.state
    END AS outcome,
    outcome AS state,
    outcome IN ('partial', 'empty') AND coalesce(incoming.again, outcome = 'partial') AS again
FROM incoming_partitions AS incoming
LEFT JOIN lasting USING (source, key, range_start, range_end);


-- name: partitions_open
-- grain: one row per range of the incoming keys that failed or misses something
SELECT partitions.source, partitions.key, partitions.range_start, partitions.range_end
FROM partitions
SEMI JOIN incoming_partitions USING (key)
WHERE partitions.state IN ('failed', 'partial');


-- name: partitions_settled
-- grain: one row per stored range of which a missing session came, or was asked for again under another range
-- A session has come if there is a bar of it, or if the answer to a range around it does not miss it.
WITH lacking AS (
    SELECT partitions.source, key, range_start, range_end, unnest(missing) AS session
    FROM partitions
    SEMI JOIN incoming_partitions USING (key)
    WHERE state = 'partial'
),

looked_up AS (
    SELECT
        lacking.source, lacking.key, lacking.range_start, lacking.range_end, lacking.session,
        bool_or(bars.session IS NOT NULL) AS kept,
        bool_or(incoming.key IS NOT NULL) AS asked,
        bool_or(
            incoming.state <> 'failed'
            AND NOT coalesce(list_contains(incoming.missing, lacking.session), FALSE)
        ) AS answered
    FROM lacking
    LEFT JOIN bars ON lacking.key = bars.ticker AND lacking.session = bars.session
    LEFT JOIN incoming_partitions AS incoming
        ON
            lacking.source = incoming.source AND lacking.key = incoming.key
            AND lacking.session BETWEEN incoming.range_start AND incoming.range_end
            AND (
                incoming.state = 'failed' OR lacking.range_start <> incoming.range_start
                OR lacking.range_end <> incoming.range_end
            )
    GROUP BY ALL
)

SELECT
    source, key, range_start, range_end,
    list(session ORDER BY session) FILTER (WHERE NOT kept AND NOT coalesce(answered, FALSE)) AS missing,
    count(*) FILTER (WHERE kept) AS kept,
    count(*) FILTER (WHERE kept OR coalesce(answered, FALSE)) AS came,
    bool_or(asked)::INTEGER AS asked
FROM looked_up
GROUP BY source, key, range_start, range_end
HAVING asked = 1 OR came > 0;


-- name: partitions_covered
-- grain: one row per failed or owing range whose every day other ranges of its key have answered
WITH owing AS (
    SELECT
        partitions.source, key, range_start, range_end,
        unnest(range(range_start, range_end + 1, INTERVAL 1 DAY))::DATE AS day
    FROM partitions
    SEMI JOIN (FROM incoming_partitions WHERE state <> 'failed') AS incoming USING (source, key)
    WHERE state = 'failed' OR (state = 'partial' AND missing IS NULL AND retry_at IS NOT NULL)
),

answered AS (
    SELECT source, key, range_start, range_end FROM partitions WHERE state <> 'failed'
    UNION
    SELECT source, key, range_start, range_end FROM incoming_partitions WHERE state <> 'failed'
)

SELECT owing.source, owing.key, owing.range_start, owing.range_end
FROM (
    SELECT owing.*, bool_or(answered.key IS NOT NULL) AS covered
    FROM owing
    LEFT JOIN answered
        ON
            owing.source = answered.source AND owing.key = answered.key
            AND owing.day BETWEEN answered.range_start AND answered.range_end
            AND NOT (
                owing.range_start = answered.range_start AND owing.range_end = answered.range_end
            )
    GROUP BY ALL
) AS owing
GROUP BY owing.source, owing.key, owing.range_start, owing.range_end
HAVING bool_and(owing.covered);


-- name: partitions_without_repeats
-- grain: one row per incoming range that is to be recorded
-- A second try at missing sessions changes the ranges that miss them and is none of its own.
WITH days AS (
    SELECT
        source, key, range_start, range_end, state,
        unnest(range(range_start, range_end + 1, INTERVAL 1 DAY))::DATE AS day
    FROM incoming_partitions
    WHERE (source, key) IN (
        SELECT (source, key) FROM partitions WHERE state = 'partial' AND missing IS NOT NULL
    )
),

answered AS (
    SELECT days.*
    FROM days
    SEMI JOIN partitions
        ON
            days.source = partitions.source AND days.key = partitions.key
            AND days.day BETWEEN partitions.range_start AND partitions.range_end
            AND partitions.state <> 'failed'
            AND (
                days.state = 'failed' OR days.range_start <> partitions.range_start
                OR days.range_end <> partitions.range_end
            )
),

repeats AS (
    SELECT source, key, range_start, range_end
    FROM answered
    GROUP BY ALL
    HAVING count(*) = range_end - range_start + 1
)

SELECT incoming.*
FROM incoming_partitions AS incoming
ANTI JOIN repeats USING (source, key, range_start, range_end);


-- name: partitions_settle
-- writes: partitions (source, key, range_start, range_end)
-- grain: one changed row per stored range of which a missing session came or was asked for again
MERGE INTO partitions AS stored
USING settled
    ON
        stored.source = settled.source
        AND stored.key = settled.key
        AND stored.range_start = settled.range_start
        AND stored.range_end = settled.range_end
WHEN MATCHED THEN UPDATE SET
    state = CASE WHEN settled.missing IS NULL THEN 'done' ELSE 'partial' END,
    attempts = stored.attempts + settled.asked,
    rows = stored.rows + settled.kept,
    received = stored.received + settled.came,
    missing = settled.missing,
    retry_at = CASE
        WHEN settled.missing IS NOT NULL AND settled.asked = 1
            THEN next_attempt($now::TIMESTAMPTZ, stored.attempts + 1)
        WHEN settled.missing IS NOT NULL THEN stored.retry_at
    END,
    updated_at = $now::TIMESTAMPTZ;


-- name: partitions_replace
-- writes: partitions (source, key, range_start, range_end), idempotent
-- grain: one deleted row per range that finer ones have answered whole
DELETE FROM partitions
WHERE (source, key, range_start, range_end) IN (
    SELECT (source, key, range_start, range_end) FROM covered
);


-- name: partitions_record
-- writes: partitions (source, key, range_start, range_end), idempotent
-- grain: one merged row per source, key and requested range
-- A repeat of what is already done changes nothing; every other repeat counts as one more attempt. What is
-- missing and cannot be asked for again stays missing, whatever the next answer holds.
MERGE INTO partitions AS stored
USING incoming_partitions AS incoming
    ON
        stored.source = incoming.source
        AND stored.key = incoming.key
        AND stored.range_start = incoming.range_start
        AND stored.range_end = incoming.range_end
WHEN MATCHED AND (
    incoming.state IN ('partial', 'failed')
    OR incoming.again
    OR stored.retry_at IS NOT NULL
    OR stored.state <> incoming.state
    OR stored.rows <> incoming.rows
    OR stored.payload_id IS DISTINCT FROM incoming.payload_id
    OR stored.error IS DISTINCT FROM incoming.error
) THEN UPDATE SET
    state = CASE
        WHEN stored.state = 'partial' AND stored.retry_at IS NULL THEN 'partial' ELSE incoming.state
    END,
    attempts = stored.attempts + 1,
    rows = incoming.rows,
    expected = incoming.expected,
    received = incoming.received,
    missing = incoming.missing,
    payload_id = incoming.payload_id,
    error = CASE
        WHEN stored.state = 'partial' AND stored.retry_at IS NULL
            THEN coalesce(incoming.error, stored.error)
        ELSE incoming.error
    END,
    retry_at = CASE
        WHEN incoming.again AND NOT (stored.state = 'partial' AND stored.retry_at IS NULL)
            THEN next_attempt($now::TIMESTAMPTZ, stored.attempts + 1)
    END,
    updated_at = $now::TIMESTAMPTZ
WHEN NOT MATCHED THEN INSERT (
    source, key, range_start, range_end, state, attempts, rows, expected, received, missing,
    payload_id, error, retry_at, updated_at
) VALUES (
    incoming.source, incoming.key, incoming.range_start, incoming.range_end, incoming.state, 1,
    incoming.rows, incoming.expected, incoming.received, incoming.missing, incoming.payload_id,
    incoming.error, CASE WHEN incoming.again THEN next_attempt($now::TIMESTAMPTZ, 1) END,
    $now::TIMESTAMPTZ
);


-- name: polls_without_overlap
-- grain: one row per polled key whose answer is full ($cap items) and holds nothing known, though the feed was
-- read before; polled_at: when it was read last
WITH about AS (
    SELECT headline_id, ticker AS key FROM incoming_tickers
    UNION
    SELECT headline_id, '*' FROM incoming_headlines
),

known AS (
    SELECT DISTINCT about.key
    FROM about
    INNER JOIN headlines USING (headline_id)
    WHERE headlines.published_at >= (SELECT min(published_at) FROM incoming_headlines)
)

SELECT incoming.key, max(stored.updated_at) AS polled_at
FROM incoming_partitions AS incoming
INNER JOIN partitions AS stored ON incoming.source = stored.source AND incoming.key = stored.key
ANTI JOIN known ON incoming.key = known.key
WHERE incoming.received >= $cap AND incoming.state = 'done' AND stored.state <> 'failed'
GROUP BY incoming.key;


-- name: feeds_silent
-- grain: one row per incoming range without a usable item though its feed gave some before; gave_at: when last
-- A poll shows its latest items and always has some. A search may find nothing: it counts as silent after a week
-- and twice the longest pause that the key's headlines ever made. publisher: the source of the headlines.
WITH given AS (
    SELECT key, max(updated_at) AS gave_at
    FROM partitions
    WHERE source = $source AND rows > 0
    GROUP BY key
),

told AS (
    SELECT headline_tickers.ticker AS key, headlines.published_at
    FROM headlines
    INNER JOIN headline_tickers USING (headline_id)
    WHERE headlines.source = $publisher
    UNION ALL
    SELECT '*', published_at FROM headlines WHERE source = $publisher
),

paused AS (
    SELECT key, published_at, published_at - lag(published_at) OVER (PARTITION BY key ORDER BY published_at) AS pause
    FROM told
    WHERE key IN (SELECT key FROM incoming_partitions)
),

pauses AS (
    SELECT key, max(published_at) AS newest, coalesce(max(pause), INTERVAL 0 DAYS) AS longest
    FROM paused
    GROUP BY key
)

SELECT incoming.key, incoming.range_start, incoming.range_end, incoming.received, given.gave_at
FROM incoming_partitions AS incoming
INNER JOIN given USING (key)
LEFT JOIN pauses USING (key)
WHERE
    incoming.state IN ('done', 'empty') AND incoming.rows = 0
    AND (
        $polled OR incoming.received > 0
        OR day_is_over(incoming.range_end) > pauses.newest + INTERVAL 7 DAYS + 2 * pauses.longest
    )
ORDER BY incoming.key, incoming.range_start;


-- name: feed_gave
-- grain: one row: whether a feed ever gave an item that was kept
SELECT count(*) > 0 AS gave FROM partitions WHERE source = $source AND rows > 0;


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
-- grain: one row per address of a source whose latest usable answer can be requested conditionally
-- An answer that was refused or cut off is none: the vendor would say that nothing has changed since, and what is
-- missing would stay away until something does.
SELECT source, url, payload_id, status, headers, fetched_at
FROM payloads
WHERE source = $source
    AND payload_id NOT IN (
        SELECT payload_id FROM quarantine
        WHERE kind = 'payload' AND source = $source AND payload_id IS NOT NULL
        UNION
        SELECT payload_id FROM partitions
        WHERE state IN ('partial', 'failed') AND source = $source AND payload_id IS NOT NULL
    )
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
-- stale: the source did not answer within $stale_after, by $now. newest_item: the latest bar session (its
-- midnight, UTC) or headline of the source for the key. missing: what its answers left out, in words, and
-- next_try when it is asked for again (NULL: not any more).
-- granularity: what the stamps of the source's headlines are good for, with their shares.
WITH requested AS (
    SELECT
        source, key,
        max(updated_at) FILTER (WHERE state <> 'failed') AS last_success_at,
        max(updated_at) FILTER (WHERE state = 'failed') AS last_failure_at,
        arg_max(error, updated_at) FILTER (WHERE state = 'failed') AS last_error,
        count(*) FILTER (WHERE state = 'failed') AS failed_ranges,
        count(*) FILTER (WHERE state = 'partial') AS partial_ranges,
        count(*) FILTER (WHERE state = 'empty') AS empty_ranges,
        count(*) FILTER (WHERE state = 'done') AS done_ranges,
        list_sort(flatten(list(missing))) AS sessions,
        arg_max(error, updated_at) FILTER (WHERE state = 'partial' AND missing IS NULL) AS shortfall,
        sum(received - rows) FILTER (WHERE expected IS NOT NULL) AS quarantined,
        min(retry_at) AS next_try,
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
),

dated AS (
    SELECT
        source,
        string_agg(granularity || ' ' || round(100 * share)::INTEGER || ' %', ', ' ORDER BY share DESC, granularity)
            AS granularity
    FROM (
        SELECT
            payloads.source, headlines.granularity,
            count(*) / sum(count(*)) OVER (PARTITION BY payloads.source) AS share
        FROM headlines
        INNER JOIN payloads USING (payload_id)
        GROUP BY payloads.source, headlines.granularity
    )
    GROUP BY source
)

SELECT
    requested.source, requested.key, requested.last_success_at, requested.last_failure_at,
    -- An error that a later success made good is no longer news.
    CASE
        WHEN requested.last_failure_at > coalesce(requested.last_success_at, '-infinity'::TIMESTAMPTZ)
            THEN requested.last_error
    END AS last_error,
    requested.failed_ranges, requested.attempts, requested.rows, newest.newest_item, dated.granularity,
    concat_ws(
        ', ',
        CASE WHEN requested.done_ranges > 0 THEN requested.done_ranges || ' done' END,
        CASE WHEN requested.partial_ranges > 0 THEN requested.partial_ranges || ' partial' END,
        CASE WHEN requested.empty_ranges > 0 THEN requested.empty_ranges || ' empty' END,
        CASE WHEN requested.failed_ranges > 0 THEN requested.failed_ranges || ' failed' END
    ) AS ranges,
    requested.partial_ranges,
    nullif(concat_ws(
        '; ',
        CASE
            WHEN len(requested.sessions) > 0
                THEN len(requested.sessions) || ' sessions (' || in_few_words(requested.sessions) || ')'
        END,
        requested.shortfall
    ), '') AS missing,
    coalesce(requested.quarantined, 0)::BIGINT AS quarantined,
    requested.next_try,
    coalesce(
        requested.last_success_at < $now::TIMESTAMPTZ - $stale_after::INTERVAL, TRUE
    ) AS stale
FROM requested
LEFT JOIN newest USING (source, key)
LEFT JOIN dated USING (source)
ORDER BY stale DESC, requested.source, requested.key;
