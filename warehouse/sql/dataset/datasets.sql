-- Data sets: their rows as JSON lines, their exports, differences and registration.


-- name: dataset_chosen
-- builds: chosen_names, chosen
-- grain: one row per example of a split in a batch of sessions
CREATE OR REPLACE TEMP TABLE chosen_names AS
SELECT $spec_id AS spec_id, ticker, session
FROM split_rows
WHERE split = $split AND session BETWEEN $first_session AND $last_session;

CREATE OR REPLACE TEMP VIEW chosen AS
SELECT e.*
FROM chosen_names AS n
JOIN examples AS e USING (spec_id, ticker, session);


-- name: examples_chosen
-- builds: chosen
-- grain: one row per freshly derived example that has a label
CREATE OR REPLACE TEMP VIEW chosen AS
SELECT * FROM fresh_examples WHERE label IS NOT NULL;


-- name: headlines_granularity
-- grain: one row per source and granularity of its headlines
-- A snapshot from before granularity was known has no such column.
SELECT source, coalesce(granularity, 'unknown') AS granularity, count(*) AS headlines
FROM (
    SELECT * FROM headlines
    UNION ALL BY NAME
    SELECT NULL::VARCHAR AS granularity WHERE FALSE
)
GROUP BY ALL
ORDER BY ALL;


-- name: sources_synthetic
-- grain: one row per source, with the share of its headlines that are made up
SELECT source, count(*) FILTER (synthetic) / count(*) AS share
FROM headlines
GROUP BY source
ORDER BY source;


-- name: universe_described
-- grain: one row: what a dated universe was over the sessions of a data set
-- sha256: of all its memberships. members: tickers that were one at some time from $start to $end (NULL: from
-- the first bar, to the last). without_bars: those of them of which there is no bar, under no symbol.
WITH span AS (
    SELECT coalesce($start, min(session)) AS first, coalesce($end, max(session)) AS last FROM bars
), known AS (
    SELECT ticker FROM bars
    UNION
    SELECT unnest([r.ticker, r.alias])
    FROM tickers AS r
    WHERE r.kind = 'former_symbol'
        AND (r.ticker IN (SELECT ticker FROM bars) OR r.alias IN (SELECT ticker FROM bars))
), inside AS (
    SELECT DISTINCT m.ticker
    FROM memberships AS m, span
    WHERE m.universe = $universe
        AND m.member_from <= span.last AND coalesce(m.member_until, 'infinity'::DATE) > span.first
)
SELECT
    (
        SELECT sha256(string_agg(
            concat_ws('|', ticker, member_from, coalesce(member_until::VARCHAR, '-')), chr(10)
            ORDER BY ticker, member_from
        ))
        FROM memberships
        WHERE universe = $universe
    )                                                                   AS sha256,
    count(*)                                                            AS members,
    count(*) FILTER (ticker NOT IN (SELECT ticker FROM known))          AS without_bars
FROM inside;


-- name: dataset_rows
-- grain: one row per example that is chosen: its JSON line, and its columns
WITH instants AS (
    -- Written out once per session, not once per row.
    SELECT
        decision_ts, label_start_ts, label_end_ts,
        strftime(decision_ts, '%Y-%m-%dT%H:%M:%SZ')    AS decision_text,
        strftime(label_start_ts, '%Y-%m-%dT%H:%M:%SZ') AS label_start_text,
        strftime(label_end_ts, '%Y-%m-%dT%H:%M:%SZ')   AS label_end_text
    FROM (SELECT DISTINCT decision_ts, label_start_ts, label_end_ts FROM chosen)
)
SELECT
    to_json({
        input: e.input,
        output: CASE e.label WHEN 'up' THEN $up ELSE $down END,
        meta: {
            example_id: e.example_id, ticker: e.ticker, session: e.session,
            decision_ts: h.decision_text, label_start_ts: h.label_start_text,
            label_end_ts: h.label_end_text, label_return: e.label_return,
            headline_ids: e.headline_ids
        }
    })::VARCHAR || chr(10)                                  AS line,
    e.input,
    CASE e.label WHEN 'up' THEN $up ELSE $down END          AS output,
    e.example_id, e.ticker, e.session, e.decision_ts, e.label_start_ts, e.label_end_ts,
    e.label_return, e.headline_ids
FROM chosen AS e
JOIN instants AS h USING (decision_ts, label_start_ts, label_end_ts)
ORDER BY e.session, e.ticker;


-- name: dataset_export_messages
-- builds: a file
-- grain: one line per example of the split, as a conversation of two turns
COPY (
    SELECT
        [
            {role: 'user', content: input},
            {role: 'assistant', content: output}
        ] AS messages
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);


-- name: dataset_export_completion
-- builds: a file
-- grain: one line per example of the split, as a prompt and its completion
COPY (
    SELECT
        input         AS prompt,
        ' ' || output AS completion
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);


-- name: dataset_export_llama_factory
-- builds: a file
-- grain: one line per example of the split, as an Alpaca row, the prompt being the instruction
COPY (
    SELECT
        input  AS instruction,
        ''     AS input,
        output AS output
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);


-- name: dataset_export_axolotl
-- builds: a file
-- grain: one line per example of the split, as template-free segments of which the second is trained on
COPY (
    SELECT
        [
            {label: false, text: input},
            {label: true, text: ' ' || output}
        ] AS segments
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);


-- name: dataset_export_fingpt
-- builds: a file
-- grain: one line per example of the split, as FinGPT's instruction tuning has it
COPY (
    SELECT
        $question AS instruction,
        input,
        output
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);


-- name: dataset_export_pixiu
-- builds: a file
-- grain: one line per example of the split, as PIXIU's FinBen has its classification tasks
COPY (
    SELECT
        example_id           AS id,
        input                AS query,
        output               AS answer,
        input                AS text,
        [$up, $down]         AS choices,
        CASE WHEN output = $up THEN 0 ELSE 1 END AS gold
    FROM split_lines
    ORDER BY line
) TO $path (FORMAT json);


-- name: dataset_differences
-- grain: one row per example that differs between two data sets, with what differs
WITH sides AS (
    SELECT
        coalesce(a.example_id, b.example_id) AS example_id,
        a.split AS split_a,
        b.split AS split_b,
        CASE
            WHEN a.example_id IS NULL THEN ['added']
            WHEN b.example_id IS NULL THEN ['removed']
            ELSE list_filter([
                CASE WHEN a.split <> b.split THEN 'split' END,
                CASE WHEN a.input IS DISTINCT FROM b.input
                          AND a.headline_ids IS DISTINCT FROM b.headline_ids THEN 'headlines' END,
                CASE WHEN a.input IS DISTINCT FROM b.input
                          AND a.headline_ids IS NOT DISTINCT FROM b.headline_ids THEN 'wording' END,
                CASE WHEN a.output IS DISTINCT FROM b.output THEN 'label' END,
                CASE WHEN a.label_return IS DISTINCT FROM b.label_return THEN 'return' END,
                CASE WHEN (a.decision_ts, a.label_start_ts, a.label_end_ts)
                          IS DISTINCT FROM (b.decision_ts, b.label_start_ts, b.label_end_ts)
                     THEN 'clock' END
            ], lambda what: what IS NOT NULL)
        END AS differs
    FROM rows_a AS a
    FULL JOIN rows_b AS b USING (example_id)
)
SELECT *
FROM sides
WHERE len(differs) > 0
ORDER BY example_id;


-- name: dataset_last
-- grain: one row, the latest data set of the specification, if there is one
-- is_followable: whether every snapshot since it was read is kept, so that `dataset_changed` can tell
-- what has changed since.
WITH latest AS (
    SELECT dataset_id, snapshot_id, path, manifest
    FROM datasets
    WHERE spec_digest = $spec_digest
    ORDER BY snapshot_id DESC, created_at DESC, dataset_id
    LIMIT 1
)
SELECT
    l.*,
    l.snapshot_id + 1 >= (SELECT kept_from FROM change_feed) AS is_followable
FROM latest AS l;


-- name: dataset_changed
-- grain: one row
SELECT min(session) AS changed_from
FROM lake.table_changes('examples', $first_snapshot, $last_snapshot)
WHERE spec_id = $spec_id;


-- name: dataset_registered
-- grain: one row per data set of that id
SELECT dataset_id FROM datasets WHERE dataset_id = $dataset_id;


-- name: dataset_name
-- writes: dataset_names (name), idempotent
-- grain: one row per name (merged into dataset_names)
MERGE INTO dataset_names AS stored
USING (SELECT $name AS name, $dataset_id AS dataset_id, $named_at AS named_at) AS incoming
ON stored.name = incoming.name
WHEN MATCHED AND stored.dataset_id <> incoming.dataset_id THEN UPDATE
WHEN NOT MATCHED THEN INSERT BY NAME;


-- name: datasets_fitting
-- feeds: models
-- grain: one row per data set that $wanted means, or, if that is not given, per data set; best first
-- fit: 0 its id or its name, 1 the beginning of its id; not given: 0 of the configured spec, 1 another.
WITH fitting AS (
    SELECT
        d.dataset_id, n.name, d.created_at, d.path, d.manifest,
        CASE
            WHEN $wanted IS NULL THEN (d.spec_digest IS DISTINCT FROM $spec_digest)::INTEGER
            WHEN d.dataset_id = $wanted OR n.name = $wanted THEN 0
            WHEN starts_with(d.dataset_id, $wanted) THEN 1
        END AS fit
    FROM datasets AS d
    LEFT JOIN dataset_names AS n USING (dataset_id)
)
SELECT *
FROM fitting
WHERE fit IS NOT NULL
ORDER BY fit, created_at DESC, dataset_id, name;


-- name: datasets_of_spec
-- grain: one row per data set whose examples follow one spec
SELECT dataset_id
FROM datasets
WHERE spec_id = $spec_id
ORDER BY created_at DESC, dataset_id;


-- name: report_datasets
-- grain: one row per data set, the newest first
-- names: those it bears, after commas; NULL for none.
SELECT dataset_id, names, spec_id, snapshot_id, created_at, path, manifest
FROM datasets
LEFT JOIN (
    SELECT dataset_id, string_agg(name, ', ' ORDER BY name) AS names
    FROM dataset_names
    GROUP BY dataset_id
) USING (dataset_id)
ORDER BY created_at DESC, dataset_id;
