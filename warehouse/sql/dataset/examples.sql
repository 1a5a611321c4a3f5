-- Examples: context, prompt, look-ahead rules, and the incremental build.


-- name: examples_watermark
-- grain: one row
-- followed: the snapshot these examples have followed the warehouse to, NULL if they must be built
-- anew: never built, built by other SQL, or not every snapshot since is kept.
SELECT
    now.id                                                                     AS snapshot_id,
    (
        SELECT max(b.snapshot_id)
        FROM example_builds AS b
        WHERE b.spec_id = $spec_id AND b.logic = $logic
            AND b.snapshot_id + 1 >= (SELECT kept_from FROM change_feed)
    )                                                                          AS followed
FROM lake.current_snapshot() AS now;


-- name: examples_tables_changed
-- grain: one row per table that the snapshots from $first_snapshot to $last_snapshot changed
-- A table whose files were only merged is among them; its change feed is empty then.
SELECT DISTINCT tables.table_name
FROM (
    SELECT unnest(flatten(map_values(changes))) AS table_id
    FROM lake.snapshots()
    WHERE snapshot_id BETWEEN $first_snapshot AND $last_snapshot
) AS changed
JOIN __ducklake_metadata_lake.ducklake_table AS tables ON tables.table_id::VARCHAR = changed.table_id;


-- name: examples_changed_headlines
-- grain: one row; changed_since: the earliest instant that changes of headlines or their tickers touch
WITH changed AS (
    SELECT headline_id, available_at
    FROM lake.table_changes('headlines', $first_snapshot, $last_snapshot)
)
SELECT min(available_at) AS changed_since
FROM (
    SELECT available_at FROM changed
    UNION ALL
    SELECT h.available_at
    FROM lake.table_changes('headline_tickers', $first_snapshot, $last_snapshot) AS a
    -- Those that came with their headlines are counted already.
    ANTI JOIN changed USING (headline_id)
    JOIN headlines AS h USING (headline_id)
);


-- name: examples_changed_headline_revisions
-- grain: one row; changed_since: the earliest instant that changes of headlines' former wordings touch
SELECT min(available_at) AS changed_since
FROM lake.table_changes('headline_revisions', $first_snapshot, $last_snapshot);


-- name: examples_changed_bars
-- grain: one row; changed_since: the first session that changes of bars touch
SELECT min(session)::TIMESTAMPTZ AS changed_since
FROM lake.table_changes('bars', $first_snapshot, $last_snapshot);


-- name: examples_changed_bar_revisions
-- grain: one row; changed_since: the first session that changes of bars' former vintages touch
SELECT min(session)::TIMESTAMPTZ AS changed_since
FROM lake.table_changes('bar_revisions', $first_snapshot, $last_snapshot);


-- name: examples_changed_actions
-- grain: one row; changed_since: the first day that changes of splits touch
SELECT min(ex_date)::TIMESTAMPTZ AS changed_since
FROM lake.table_changes('actions', $first_snapshot, $last_snapshot)
WHERE kind = 'split';


-- name: examples_changed_sessions
-- grain: one row; changed_since: the first session that changes of the calendar touch
SELECT min(session)::TIMESTAMPTZ AS changed_since
FROM lake.table_changes('sessions', $first_snapshot, $last_snapshot);


-- name: examples_changed_tickers
-- grain: one row; changed_since: the first of all days if tickers have changed
-- Another name or exchange for a ticker may concern any session.
SELECT CASE WHEN count(*) > 0 THEN '0001-01-01'::TIMESTAMPTZ END AS changed_since
FROM lake.table_changes('tickers', $first_snapshot, $last_snapshot);


-- name: examples_changed_features
-- grain: one row; changed_since: the earliest instant that changes of the spec's own columns touch
SELECT min(available_at) AS changed_since
FROM lake.table_changes('features', $first_snapshot, $last_snapshot)
WHERE list_contains($feature_sets::VARCHAR[], feature_set);


-- name: examples_changed_memberships
-- grain: one row; changed_since: the first day of the spec's memberships that came, went or ended otherwise
SELECT min(member_from)::TIMESTAMPTZ AS changed_since
FROM lake.table_changes('memberships', $first_snapshot, $last_snapshot)
WHERE universe = $universe;


-- name: examples_scope
-- grain: one row
-- from_session: the first session whose example may differ after changes that touch $changed_since and
-- what is later.
WITH pending AS (
    -- What waits for its label is looked at again with every new bar.
    SELECT min(session) AS session
    FROM examples
    WHERE spec_id = $spec_id AND label_reason = 'pending'
), affected AS (
    SELECT c.exchange, min(c.position) AS position
    FROM clock AS c, pending AS w
    WHERE c.decision_ts > $changed_since OR c.session >= w.session
        OR c.session >= $changed_since::DATE
    GROUP BY c.exchange
)
-- A label window that holds the session may have begun this much earlier.
SELECT coalesce(min(c.session), '0001-01-01') AS from_session
FROM affected AS h
JOIN clock AS c ON c.exchange = h.exchange AND c.position >= h.position - $horizon;


-- name: examples_context
-- builds: context
-- grain: one row per example, if the template asks for context at all
-- Numbers of finished sessions, in the vintages known at the decision, as text for the prompt.
CREATE OR REPLACE TEMP TABLE context AS
WITH wanted AS (
    SELECT
        g.cell, l.exchange, l.number, c.position, c.session, c.decision_ts, c.known_position,
        g.cell - c.position + c.known_position AS known_cell
    FROM gathered AS g
    JOIN listings AS l ON l.number = cell_number(g.cell)
    JOIN clock AS c ON c.exchange = l.exchange AND c.position = cell_position(g.cell)
    WHERE $uses_context
), past AS (
    SELECT
        a.cell, back.back, v.shares,
        v.close / lead(v.close) OVER (PARTITION BY a.cell ORDER BY back.back) - 1 AS day_return
    FROM wanted AS a
    CROSS JOIN range($return_window + 1) AS back(back)
    LEFT JOIN price_vintages AS v
        ON v.cell = a.known_cell - back.back
        AND a.decision_ts > v.known_from AND a.decision_ts <= v.known_until
), own AS (
    SELECT
        cell,
        string_agg(
            coalesce(format('{:+.1f}%', 100 * day_return), '?'), ' ' ORDER BY back DESC
        ) FILTER (back < $return_window)                              AS returns,
        max(shares) FILTER (back = 0)
        / avg(shares ORDER BY back) FILTER (back > 0) - 1             AS volume_change
    FROM past
    GROUP BY ALL
), days AS (
    SELECT DISTINCT exchange, position, known_position, decision_ts FROM wanted
), market AS (
    SELECT
        d.exchange,
        d.position,
        avg(last.close / before.close - 1 ORDER BY last.cell) AS market_return
    FROM days AS d
    JOIN listings AS l ON l.exchange = d.exchange
    JOIN price_vintages AS last
        ON last.cell = cell_of(l.number, d.known_position)
        AND d.decision_ts > last.known_from AND d.decision_ts <= last.known_until
    JOIN price_vintages AS before
        ON before.cell = last.cell - 1
        AND d.decision_ts > before.known_from AND d.decision_ts <= before.known_until
    -- Of a dated universe the market is its members of the day.
    WHERE $universe IS NULL OR EXISTS (
        SELECT 1
        FROM members AS m
        WHERE m.number = l.number
            AND cell_of(l.number, d.position) BETWEEN m.first_cell AND m.last_cell
    )
    GROUP BY ALL
)
SELECT
    a.cell,
    o.returns,
    format('{:+.0f}%', 100 * o.volume_change)    AS volume_change,
    format('{:+.1f}%', 100 * m.market_return)    AS market_return,
    date_diff('day', n.session, a.session)       AS days_since_news
FROM wanted AS a
JOIN own AS o ON o.cell = a.cell
LEFT JOIN market AS m ON m.exchange = a.exchange AND m.position = a.position
ASOF LEFT JOIN news_days AS n ON n.number = a.number AND n.session < a.session;


-- name: examples_fresh
-- builds: fresh_examples
-- grain: one row per example of the batch: ticker and session
CREATE OR REPLACE TEMP TABLE fresh_examples AS
WITH rows AS (
    SELECT
        g.*,
        l.ticker,
        now.* EXCLUDE (cell),
        -- Oldest first.
        coalesce(list_reverse(
            CASE WHEN a.max_shown IS NULL THEN g.latest ELSE g.latest[:a.max_shown] END
        ), [])                                                                 AS shown
    FROM gathered AS g
    JOIN labels AS now ON now.cell = g.cell
    JOIN listings AS l ON l.number = cell_number(g.cell)
    LEFT JOIN headline_limits AS a
        ON $max_tokens IS NOT NULL AND a.ticker = l.ticker AND a.session = now.session
    WHERE now.label_end_ts IS NOT NULL
)
SELECT
    $spec_id                                                       AS spec_id,
    concat(t.ticker, '@', t.session)                               AS example_id,
    t.ticker, t.session, t.decision_ts,
    greatest(
        t.news_available_at, t.known_available_at, o.available_at
    )                                                              AS max_input_available_at,
    t.label_start_ts, t.label_end_ts, t.label,
    t.reason                                                       AS label_reason,
    t.window_return                                                AS label_return,
    t.previous_return,
    CASE WHEN t.observed IS NOT DISTINCT FROM false
         THEN 'asserted' ELSE 'observed' END                       AS availability,
    list_transform(t.shown, lambda h: h.headline_id)               AS headline_ids,
    list_transform(t.shown, lambda h: h.story_id)                  AS story_ids,
    filled(format(
        $template,
        coalesce($mask, t.ticker),
        t.session::VARCHAR,
        array_to_string(list_transform(t.shown, lambda h: h.line), $separator),
        t.headline_count::VARCHAR,
        coalesce(x.returns, '?'),
        coalesce(x.volume_change, '?'),
        coalesce(x.market_return, '?'),
        coalesce(x.days_since_news::VARCHAR, '?')
    ), o.words)                                                    AS input,
    o.features
FROM rows AS t
LEFT JOIN context AS x ON $uses_context AND x.cell = t.cell
LEFT JOIN own_features AS o ON $uses_features AND o.cell = t.cell;


-- name: examples_inputs
-- grain: one row per example of the batch, as rendered so far
SELECT ticker, session, input
FROM fresh_examples
ORDER BY ticker, session;


-- name: examples_limit
-- builds: headline_limits
-- grain: one row per example over its token budget
DELETE FROM headline_limits
WHERE (ticker, session) IN (SELECT (ticker, session) FROM over_budget);

INSERT INTO headline_limits
SELECT ticker, session, $max_shown
FROM over_budget;


-- name: examples_violations
-- grain: one row per broken rule
-- A row may know only what was available strictly before its decision, and its outcome must lie
-- after it. `tradable` rules also begin after it; the others begin at the close before, end after.
WITH broken AS (
    SELECT
        example_id,
        max_input_available_at >= decision_ts       AS knows_the_future,
        max_input_available_at IS NULL              AS unknown,
        $tradable AND decision_ts > label_start_ts  AS enters_before,
        decision_ts >= label_end_ts                 AS decided_late,
        label_start_ts >= label_end_ts              AS ends_before
    FROM fresh_examples
    -- No list is made of a row that breaks no rule, of which there are almost all.
    WHERE knows_the_future OR unknown OR enters_before OR decided_late OR ends_before
)
SELECT rule, count(*) AS violations, min(example_id) AS first_example
FROM (
    SELECT
        example_id,
        unnest([
            CASE WHEN knows_the_future THEN 'max_input_available_at < decision_ts' END,
            CASE WHEN unknown THEN 'max_input_available_at is known' END,
            CASE WHEN enters_before THEN 'decision_ts <= label_start_ts' END,
            CASE WHEN decided_late THEN 'decision_ts < label_end_ts' END,
            CASE WHEN ends_before THEN 'label_start_ts < label_end_ts' END
        ]) AS rule
    FROM broken
)
WHERE rule IS NOT NULL
GROUP BY rule
ORDER BY rule;


-- name: examples_derived
-- feeds: examples
-- grain: one row per example of the batch, in the order in which it is stored
SELECT *
FROM fresh_examples
ORDER BY session, ticker;


-- name: examples_any
-- grain: one row if any example of the spec is stored
SELECT 1 AS stored
FROM examples
WHERE spec_id = $spec_id
LIMIT 1;


-- name: examples_changes
-- grain: one row per ticker and session whose stored example differs from the derived one
SELECT
    coalesce(fresh.ticker, stored.ticker)   AS ticker,
    coalesce(fresh.session, stored.session) AS session
FROM derived AS fresh
FULL JOIN (
    SELECT *
    FROM examples
    WHERE spec_id = $spec_id AND session >= $from_session AND session < $until_session
) AS stored
    ON fresh.ticker = stored.ticker AND fresh.session = stored.session
WHERE fresh IS DISTINCT FROM stored;


-- name: examples_publish
-- writes: examples (spec_id, ticker, session), idempotent
-- grain: one row per changed example (the old one goes, the fresh one comes)
DELETE FROM examples
WHERE spec_id = $spec_id
    AND session >= $from_session AND session < $until_session
    AND (ticker, session) IN (SELECT (ticker, session) FROM example_changes);

INSERT INTO examples BY NAME
SELECT fresh.*
FROM derived AS fresh
JOIN example_changes AS changed USING (ticker, session)
ORDER BY fresh.session, fresh.ticker;


-- name: examples_followed
-- writes: example_builds (spec_id), idempotent
-- grain: one row per example spec
DELETE FROM example_builds WHERE spec_id = $spec_id;

INSERT INTO example_builds BY NAME
SELECT $spec_id AS spec_id, $snapshot_id AS snapshot_id, $logic AS logic;


-- name: examples_decided
-- grain: one row per example of one spec, in the order of the decisions
SELECT ticker, session, decision_ts, input
FROM examples
WHERE spec_id = $spec_id
ORDER BY decision_ts, ticker;


-- name: examples_labelled_in_range
-- grain: one row per labelled example of one spec within a range of sessions, none of them set aside
SELECT example_id
FROM examples
ANTI JOIN set_aside USING (spec_id, session)
WHERE spec_id = $spec_id AND session BETWEEN $first AND $last AND label IS NOT NULL
ORDER BY session, ticker, example_id;


-- name: sessions_labelled
-- grain: one row per session with a labelled example of one spec whose outcome is final at $now
SELECT DISTINCT session
FROM examples
WHERE spec_id = $spec_id
    AND label IS NOT NULL
    AND label_end_ts <= $now
ORDER BY session;
