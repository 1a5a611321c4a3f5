-- The chronological split with purge and embargo, and the files it is written to.


-- name: split_rows
-- builds: split_rows, split_days
-- grain: one row per example of the spec
-- split: train | validation | test | final, or NULL: then drop_reason says why the example is in none of
-- them.
-- delisted: a bar is missing because trading ended before the label window did, and two weeks have passed
-- without another. It is told here, not in the examples: that time passes changes no row of theirs.
CREATE OR REPLACE TEMP TABLE split_rows AS
WITH ended AS (
    SELECT ticker, max(session) AS last_session
    FROM bars
    WHERE $universe IS NOT NULL
        AND ticker NOT IN (SELECT alias FROM tickers WHERE kind = 'former_symbol')
    GROUP BY ticker
    HAVING max(session) < (SELECT max(session) FROM bars) - 14
), bounded AS NOT MATERIALIZED (
    SELECT
        e.ticker, e.session, e.decision_ts, e.label_end_ts, e.label, e.story_ids,
        CASE
            WHEN e.session < coalesce($start, e.session) OR e.session > coalesce($end, e.session)
                THEN 'outside_window'
            WHEN e.label_reason = 'missing_bar' AND d.last_session < e.label_end_ts::DATE THEN 'delisted'
            WHEN e.label IS NULL THEN e.label_reason
        END AS drop_reason
    FROM examples AS e
    LEFT JOIN ended AS d ON d.ticker = e.ticker
    WHERE e.spec_id = $spec_id
), days AS (
    SELECT
        *,
        row_number() OVER (ORDER BY session) AS day,
        coalesce(session >= $final_from, false)
        OR row_number() OVER (ORDER BY session DESC) <= $final_sessions AS is_final
    FROM (
        SELECT session, min(decision_ts) AS decision_ts, max(label_end_ts) AS label_end_ts
        FROM bounded
        WHERE drop_reason IS NULL
        GROUP BY session
    )
), shared AS (
    -- The final holdout comes last, so that the others' days count from 1 without it.
    SELECT *, day / count(*) FILTER (NOT is_final) OVER () AS share
    FROM days
), cut AS (
    SELECT
        *,
        CASE
            WHEN is_final THEN 4
            WHEN session <= $train_until THEN 1
            WHEN session <= $validation_until THEN 2
            WHEN $train_until IS NOT NULL THEN 3
            -- The small tolerance keeps 0.7 * 10 sessions from being 6 in binary.
            WHEN share <= $train_share + 1e-9 THEN 1
            WHEN share <= $train_share + $validation_share + 1e-9 THEN 2
            ELSE 3
        END AS part
    FROM shared
), next_parts AS (
    SELECT
        earlier.part,
        min(later.decision_ts) AS next_decision_ts,
        min(later.day)         AS next_day
    FROM (SELECT DISTINCT part FROM cut) AS earlier
    JOIN cut AS later ON later.part > earlier.part
    GROUP BY earlier.part
), embargoed AS (
    -- The embargo counts back from the first session that the purge touches, or from the cut.
    SELECT
        f.part,
        f.next_decision_ts,
        least(f.next_day, min(c.day) FILTER (c.label_end_ts > f.next_decision_ts))
        - $embargo AS from_day
    FROM next_parts AS f
    JOIN cut AS c USING (part)
    GROUP BY f.part, f.next_decision_ts, f.next_day
), sorted AS NOT MATERIALIZED (
    SELECT
        b.* EXCLUDE (drop_reason),
        CASE
            WHEN b.drop_reason IS NOT NULL THEN b.drop_reason
            WHEN b.label_end_ts > q.next_decision_ts THEN 'purged'
            WHEN c.day >= q.from_day THEN 'embargoed'
        END AS drop_reason,
        c.part
    FROM bounded AS b
    LEFT JOIN cut AS c USING (session)
    LEFT JOIN embargoed AS q USING (part)
), stories AS (
    SELECT ticker, session, part, unnest(story_ids) AS story_id
    FROM sorted
    WHERE drop_reason IS NULL AND $cross_split_duplicates = 'drop'
), cross_split_duplicates AS (
    -- A story that a later split shows again must not have been trained on before.
    SELECT DISTINCT t.ticker, t.session
    FROM stories AS t
    JOIN (
        SELECT story_id, max(part) AS last_part
        FROM stories
        GROUP BY story_id
        HAVING min(part) < max(part)
    ) AS again ON again.story_id = t.story_id AND t.part < again.last_part
), reasoned AS (
    SELECT
        s.ticker, s.session, s.label, s.part,
        CASE
            WHEN s.drop_reason IS NOT NULL THEN s.drop_reason
            -- Manifests have named it so since the first, and keep their bytes.
            WHEN x.ticker IS NOT NULL THEN 'straddling_story'
        END AS drop_reason
    FROM sorted AS s
    LEFT JOIN cross_split_duplicates AS x USING (ticker, session)
), training AS (
    SELECT * FROM reasoned WHERE drop_reason IS NULL AND part = 1 AND $balance = 'downsample'
), surplus AS (
    -- Drawn by a hash of the name, so that a row's lot does not depend on the others.
    SELECT ticker, session
    FROM training
    QUALIFY row_number() OVER (
        PARTITION BY label ORDER BY md5(concat_ws('|', $balance_seed, ticker, session))
    ) > (SELECT min(n) FROM (SELECT count(*) AS n FROM training GROUP BY label))
)
SELECT
    r.ticker, r.session, r.label,
    CASE WHEN r.drop_reason IS NULL AND s.ticker IS NULL
         THEN ['train', 'validation', 'test', 'final'][r.part] END               AS split,
    CASE WHEN s.ticker IS NULL THEN r.drop_reason ELSE 'balanced_away' END AS drop_reason
FROM reasoned AS r
LEFT JOIN surplus AS s USING (ticker, session);

-- The same by session, from which all that is counted of it is counted, in one pass over the rows.
-- membership: which rows these are, whatever their order; their content is another matter.
CREATE OR REPLACE TEMP TABLE split_days AS
SELECT
    split, drop_reason, session,
    count(*)                         AS rows,
    count(*) FILTER (label = 'up')   AS up,
    count(*) FILTER (label = 'down') AS down,
    bit_xor(hash(ticker, session))   AS membership
FROM split_rows
GROUP BY ALL;


-- name: split_counts
-- feeds: datasets
-- grain: one row per split
WITH tickers AS (
    SELECT split, count(DISTINCT ticker) AS tickers
    FROM split_rows
    WHERE split IS NOT NULL
    GROUP BY split
)
SELECT
    d.split,
    sum(d.rows)::BIGINT        AS rows,
    sum(d.up)::BIGINT          AS up,
    sum(d.down)::BIGINT        AS down,
    count(DISTINCT d.session)  AS sessions,
    any_value(t.tickers)       AS tickers,
    min(d.session)             AS first_session,
    max(d.session)             AS last_session
FROM split_days AS d
JOIN tickers AS t USING (split)
GROUP BY d.split
ORDER BY d.split;


-- name: split_dropped
-- grain: one row per drop_reason for which examples are in no split
SELECT drop_reason, sum(rows)::BIGINT AS rows
FROM split_days
WHERE drop_reason IS NOT NULL
GROUP BY drop_reason
ORDER BY drop_reason;


-- name: split_parts
-- grain: one row per split and file of it: the whole, or one calendar month
-- batches: the sessions, about $batch_rows rows at a time, in which the file is written.
WITH named AS (
    SELECT
        split, session, rows, membership,
        CASE WHEN $monthly THEN strftime(session, '-%Y-%m') ELSE '' END AS suffix
    FROM split_days
    WHERE split IS NOT NULL
), numbered AS (
    SELECT
        *,
        (sum(rows) OVER (PARTITION BY split, suffix ORDER BY session) - rows) // $batch_rows AS batch
    FROM named
), batches AS (
    SELECT
        split,
        suffix,
        min(session)        AS first_session,
        max(session)        AS last_session,
        sum(rows)           AS rows,
        bit_xor(membership) AS membership
    FROM numbered
    GROUP BY split, suffix, batch
)
SELECT
    split,
    suffix,
    min(first_session)                          AS first_session,
    max(last_session)                           AS last_session,
    sum(rows)::BIGINT                           AS rows,
    format('{:016x}', bit_xor(membership))      AS membership,
    list(
        {first_session: first_session, last_session: last_session, rows: rows::BIGINT}
        ORDER BY first_session
    )                                           AS batches
FROM batches
GROUP BY ALL
ORDER BY ALL;
