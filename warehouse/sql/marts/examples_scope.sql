-- grain: one row
-- from_session: the first session whose example may differ after the changes of the snapshots
-- from $first_snapshot to $last_snapshot; NULL if they touched nothing that examples are made of.
WITH told AS (
    SELECT headline_id, available_at
    FROM lake.table_changes('headlines', $first_snapshot, $last_snapshot)
), touched AS (
    SELECT available_at AS since FROM told
    UNION ALL
    SELECT available_at
    FROM lake.table_changes('headline_revisions', $first_snapshot, $last_snapshot)
    UNION ALL
    SELECT h.available_at
    FROM lake.table_changes('headline_tickers', $first_snapshot, $last_snapshot) AS a
    -- Those that came with their headlines are counted already.
    ANTI JOIN told USING (headline_id)
    JOIN headlines AS h USING (headline_id)
    UNION ALL
    SELECT session::TIMESTAMPTZ
    FROM lake.table_changes('bars', $first_snapshot, $last_snapshot)
    UNION ALL
    SELECT session::TIMESTAMPTZ
    FROM lake.table_changes('bar_revisions', $first_snapshot, $last_snapshot)
    UNION ALL
    SELECT ex_date::TIMESTAMPTZ
    FROM lake.table_changes('actions', $first_snapshot, $last_snapshot)
    WHERE kind = 'split'
    UNION ALL
    SELECT session::TIMESTAMPTZ
    FROM lake.table_changes('sessions', $first_snapshot, $last_snapshot)
    UNION ALL
    -- Another name or exchange for a ticker may concern any session.
    SELECT '-infinity'::TIMESTAMPTZ
    FROM lake.table_changes('tickers', $first_snapshot, $last_snapshot)
), earliest AS (
    SELECT min(since) AS since FROM touched
), waiting AS (
    -- What waits for its label is looked at again with every new bar.
    SELECT min(session) AS session
    FROM examples
    WHERE spec_id = $spec_id AND label_reason = 'pending'
), hit AS (
    SELECT c.exchange, min(c.position) AS position
    FROM clock AS c, earliest AS e, waiting AS w
    WHERE c.decision_ts > e.since OR c.session >= w.session OR c.session >= e.since::DATE
    GROUP BY c.exchange
)
SELECT
    (SELECT since IS NOT NULL FROM earliest)  AS is_touched,
    -- A label window that holds the session may have begun this much earlier.
    coalesce(min(c.session), '0001-01-01')    AS from_session
FROM hit AS h
JOIN clock AS c ON c.exchange = h.exchange AND c.position >= h.position - $horizon;
