-- Several vendors of one bar: whose counts, what is lacking, and whether they agree.


-- name: bars_held
-- grain: one row per bar on record of $tickers from $first to $last
SELECT * EXCLUDE (recorded_at, vintage)
FROM bars
WHERE list_contains($tickers, ticker) AND session BETWEEN $first::DATE AND $last::DATE
ORDER BY ticker, session;


-- name: bars_lacking
-- grain: one row per ticker and session from $start to $end that the first vendor owes and that has no bar
-- Tables: ledger and rejects of the first vendor's answer; found (bars of all vendors) and held (on record),
-- each with ticker and session; calendar. Owed is what its ledger misses, what it gave and was refused, and,
-- where it failed or no longer knows the ticker, every session from the first known bar on. A session that is not
-- over is owed by nobody.
WITH present AS (
    SELECT ticker, session FROM found
    UNION
    SELECT ticker, session FROM held
),

begun AS (
    SELECT ticker, min(session) AS session
    FROM present
    GROUP BY ticker
),

owed AS (
    SELECT ledger.key AS ticker, calendar.session
    FROM ledger
    LEFT JOIN begun ON ledger.key = begun.ticker
    INNER JOIN calendar
        ON calendar.session BETWEEN
            greatest(ledger.range_start, coalesce(begun.session, ledger.range_start)) AND ledger.range_end
    WHERE ledger.state = 'failed' OR (ledger.state = 'empty' AND ledger.error IS NOT NULL)
    UNION
    SELECT key, unnest(missing) FROM ledger
    UNION
    SELECT split_part(key, '@', 1), try_cast(split_part(key, '@', 2) AS DATE) FROM rejects WHERE kind = 'bar'
)

SELECT owed.ticker, owed.session
FROM owed
INNER JOIN calendar USING (session)
ANTI JOIN present USING (ticker, session)
WHERE
    owed.session BETWEEN $start::DATE AND $end::DATE
    AND calendar.close_ts + to_seconds($settle_seconds) <= $now::TIMESTAMPTZ
ORDER BY owed.ticker, owed.session;


-- name: vendors_strayed
-- grain: one row per ticker and vendor after the first that disagrees with the other bars on most sessions
-- Tables: readings (bars with rank, 1 for the first vendor), held (bars on record), splits. Bars are compared
-- with those of better vendors and with those of others on record, on one share basis: a series in another
-- unit, or without a split, must not be joined to one that is right.
WITH told AS (
    SELECT ticker, list({'ex_date': ex_date, 'value': value}) AS splits
    FROM splits
    GROUP BY ticker
),

given AS (
    SELECT ticker, session, source, rank, open, high, low, close, basis_date FROM readings
    UNION ALL
    SELECT ticker, session, source, 0 AS rank, open, high, low, close, basis_date FROM held
),

quoted AS (
    SELECT
        given.ticker, given.session, given.source, given.rank,
        rebased(open, high, low, close, shares_after(told.splits, given.basis_date)) AS bar
    FROM given
    LEFT JOIN told USING (ticker)
)

SELECT
    own.ticker, own.source, count(*) AS compared,
    count(*) FILTER (WHERE bar_difference(own.bar, other.bar) > $tolerance) AS disagreed
FROM quoted AS own
INNER JOIN quoted AS other
    ON
        own.ticker = other.ticker AND own.session = other.session
        AND own.rank > other.rank AND own.source <> other.source
WHERE own.rank > 1
GROUP BY own.ticker, own.source
HAVING 2 * disagreed > compared
ORDER BY own.ticker, own.source;


-- name: bars_by_precedence
-- grain: one row per ticker and session: the bar of the best vendor that has one and has not strayed
SELECT readings.* EXCLUDE (rank)
FROM readings
ANTI JOIN strayed USING (ticker, source)
QUALIFY row_number() OVER (PARTITION BY readings.ticker, readings.session ORDER BY readings.rank) = 1
ORDER BY readings.ticker, readings.session;


-- name: bars_substituted
-- grain: one row per ticker, session and vendor that was to give a new bar of $start to $end before its source
-- Tables: chosen (bars with rank); vendors (source, rank); held (bars on record); ledger and rejects of all
-- vendors' answers; strayed.
WITH refused AS (
    SELECT
        source, split_part(key, '@', 1) AS ticker, try_cast(split_part(key, '@', 2) AS DATE) AS session,
        min(reason) AS reason
    FROM rejects
    WHERE kind = 'bar'
    GROUP BY ALL
),

failed AS (
    SELECT source, key AS ticker, min(error) AS error FROM ledger WHERE state = 'failed' GROUP BY ALL
)

SELECT
    chosen.ticker, chosen.session, chosen.source, vendors.source AS lacking,
    coalesce(
        failed.error,
        'its bar was refused: ' || refused.reason,
        CASE WHEN strayed.source IS NOT NULL THEN 'it disagrees with the other bars on most sessions' END,
        'its answer leaves the session out'
    ) AS reason
FROM chosen
INNER JOIN vendors ON vendors.rank < chosen.rank
ANTI JOIN held ON chosen.ticker = held.ticker AND chosen.session = held.session
LEFT JOIN failed ON failed.ticker = chosen.ticker AND failed.source = vendors.source
LEFT JOIN refused
    ON refused.ticker = chosen.ticker AND refused.session = chosen.session AND refused.source = vendors.source
LEFT JOIN strayed ON strayed.ticker = chosen.ticker AND strayed.source = vendors.source
WHERE chosen.session BETWEEN $start::DATE AND $end::DATE
ORDER BY chosen.ticker, chosen.session, vendors.rank;


-- name: substitutions_record
-- writes: substitutions (ticker, session, source, lacking), idempotent
-- grain: one inserted row per substitution not yet known; the first reason stays
INSERT INTO substitutions BY NAME
SELECT incoming.*, $now::TIMESTAMPTZ AS recorded_at
FROM incoming_substitutions AS incoming
ANTI JOIN substitutions USING (ticker, session, source, lacking);


-- name: actions_by_precedence
-- grain: one row per ticker, ex-date and kind: the first vendor's, and others' of days whose bar is not its
-- Tables: actions with rank, chosen (bars).
SELECT actions.* EXCLUDE (rank)
FROM actions
LEFT JOIN chosen ON actions.ticker = chosen.ticker AND actions.ex_date = chosen.session
WHERE actions.rank = 1 OR chosen.source <> $first
QUALIFY row_number() OVER (
    PARTITION BY actions.ticker, actions.ex_date, actions.kind ORDER BY actions.rank
) = 1
ORDER BY actions.ticker, actions.ex_date, actions.kind;


-- name: readings_changed
-- feeds: bar_readings
-- grain: one row per incoming reading that is new, or another than the vendor's last one of the session
-- Equal numbers on another share basis are another reading only if the ticker split between the two.
WITH told AS (
    SELECT ticker, list({'ex_date': ex_date, 'value': value}) AS splits
    FROM actions
    WHERE kind = 'split'
    GROUP BY ticker
)

SELECT incoming.* EXCLUDE (vendor_adj_close), $now::TIMESTAMPTZ AS recorded_at
FROM incoming_readings AS incoming
LEFT JOIN bar_readings AS stored USING (ticker, session, source)
LEFT JOIN told ON incoming.ticker = told.ticker
WHERE
    stored.ticker IS NULL
    OR bar_difference(
        rebased(incoming.open, incoming.high, incoming.low, incoming.close, 1),
        rebased(stored.open, stored.high, stored.low, stored.close, 1)
    ) > 1e-6
    OR NOT is_same(incoming.volume, stored.volume)
    OR shares_after(told.splits, incoming.basis_date) <> shares_after(told.splits, stored.basis_date)
ORDER BY incoming.ticker, incoming.session, incoming.source;


-- name: bar_agreement
-- grain: one row per ticker and session from $first to $last that any vendor has given
-- verdict: agreed | disagreed | one vendor | not held (no bar of it was good enough to be joined to the others).
-- difference: the largest of any vendor from the bar held, as a share. quotes: what each vendor gave, on the
-- share basis of the session.
SELECT
    ticker, session, any_value(held_by) AS held_by, count(*) AS vendors,
    CASE
        WHEN any_value(held_by) IS NULL THEN 'not held'
        WHEN count(*) = 1 THEN 'one vendor'
        WHEN max(difference) > $tolerance THEN 'disagreed'
        ELSE 'agreed'
    END AS verdict,
    max(difference) AS difference,
    list(
        {'source': source, 'open': open, 'high': high, 'low': low, 'close': close, 'volume': volume}
        ORDER BY source
    ) AS quotes
FROM bar_comparisons
WHERE session BETWEEN $first::DATE AND $last::DATE
GROUP BY ticker, session
ORDER BY ticker, session;


-- name: vendors_check
-- grain: one row per vendor that gave a bar from $since on while several were configured
-- held: bars whose value is the vendor's. stood_in: bars it gave in a better vendor's place; failed_to_give:
-- bars that another gave in its place, and the reason of the last of them. compared: those it gave beside
-- another's that is held; alone: those that nobody else gave. drifting: of its last $drift_sessions sessions with a comparison more than
-- $drift_share disagree. Sources of which no reading was ever kept beside others are not compared.
WITH compared AS (
    SELECT
        source, ticker, session, held_by, difference > $tolerance AS differs,
        count(*) OVER (PARTITION BY ticker, session) AS vendors
    FROM bar_comparisons
    WHERE session >= $since::DATE AND source IN (SELECT source FROM bar_readings)
),

placed AS (
    SELECT
        source, differs,
        dense_rank() OVER (PARTITION BY source ORDER BY session DESC) AS place
    FROM compared
    WHERE differs IS NOT NULL
),

recent AS (
    SELECT
        source, count(*) AS recently_compared, count(*) FILTER (WHERE differs) AS recently_disagreed
    FROM placed
    WHERE place <= $drift_sessions
    GROUP BY source
),

stood_in AS (
    SELECT source, count(DISTINCT (ticker, session)) AS bars
    FROM substitutions
    WHERE session >= $since::DATE
    GROUP BY source
),

lacking AS (
    SELECT lacking AS source, count(DISTINCT (ticker, session)) AS bars, arg_max(reason, recorded_at) AS reason
    FROM substitutions
    WHERE session >= $since::DATE
    GROUP BY lacking
)

SELECT
    compared.source,
    count(*) AS given,
    count(*) FILTER (WHERE compared.source = compared.held_by) AS held,
    coalesce(any_value(stood_in.bars), 0) AS stood_in,
    coalesce(any_value(lacking.bars), 0) AS failed_to_give,
    any_value(lacking.reason) AS last_reason,
    count(compared.differs) AS compared,
    count(*) FILTER (WHERE NOT compared.differs) AS agreed,
    count(*) FILTER (WHERE compared.differs) AS disagreed,
    count(*) FILTER (WHERE compared.vendors = 1) AS alone,
    max(compared.session) FILTER (WHERE compared.differs) AS last_disagreed,
    coalesce(any_value(recent.recently_compared), 0) AS recently_compared,
    coalesce(any_value(recent.recently_disagreed), 0) AS recently_disagreed,
    coalesce(any_value(recent.recently_disagreed / recent.recently_compared) > $drift_share, FALSE) AS drifting
FROM compared
LEFT JOIN recent USING (source)
LEFT JOIN stood_in USING (source)
LEFT JOIN lacking USING (source)
GROUP BY compared.source
ORDER BY compared.source;


-- name: answers_landed
-- grain: one row per landed answer of a vendor and ticker, oldest first, with the days that it was asked for
WITH spoken_of AS (
    SELECT key AS ticker, payload_id, range_start AS first, range_end AS last
    FROM partitions
    WHERE source = $source
    UNION ALL
    SELECT ticker, payload_id, session, session FROM bars WHERE source = $source
    UNION ALL
    SELECT ticker, payload_id, session, session FROM bar_readings WHERE source = $source
)

SELECT
    spoken_of.ticker, spoken_of.payload_id, min(spoken_of.first) AS first, max(spoken_of.last) AS last,
    arg_min(payloads.url, payloads.fetched_at) AS url, min(payloads.fetched_at) AS fetched_at
FROM spoken_of
INNER JOIN payloads USING (payload_id)
WHERE payloads.source = $source AND payloads.status = 200
GROUP BY spoken_of.ticker, spoken_of.payload_id
ORDER BY fetched_at, spoken_of.ticker, spoken_of.payload_id;


-- name: bars_of_holder
-- grain: one row per incoming bar whose session is held by its own source
SELECT incoming.*
FROM incoming
SEMI JOIN bars USING (ticker, session, source)
ORDER BY incoming.ticker, incoming.session;


-- name: actions_of_holder
-- grain: one row per incoming action that is held by its own source
SELECT incoming.*
FROM incoming
SEMI JOIN actions USING (ticker, ex_date, kind, source)
ORDER BY incoming.ticker, incoming.ex_date, incoming.kind;
