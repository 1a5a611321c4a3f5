-- The look-ahead audit: examples derived again in altered warehouses.


-- name: audit_full
-- builds: full_examples, disturbed
-- grain: one row per example that the whole warehouse gives now
CREATE OR REPLACE TEMP TABLE full_examples AS SELECT * FROM fresh_examples;

-- Examples that planted news may rightly move; filled while news is planted.
CREATE OR REPLACE TEMP TABLE disturbed (example_id VARCHAR);


-- name: audit_moments
-- grain: one row per decision moment drawn
SELECT decision_ts
FROM (SELECT DISTINCT decision_ts FROM full_examples)
ORDER BY md5(epoch_us(decision_ts)::VARCHAR || $seed)
LIMIT $moments;


-- name: audit_stored
-- grain: one row, comparing the stored examples with what the warehouse gives now
SELECT
    'the example'                              AS what,
    count(*) FILTER (f IS DISTINCT FROM e)     AS rows,
    min(coalesce(f.example_id, e.example_id))
        FILTER (f IS DISTINCT FROM e)          AS first_example
FROM full_examples AS f
FULL JOIN (SELECT * FROM lake.main.examples WHERE spec_id = $spec_id) AS e USING (example_id);


-- name: audit_clock
-- grain: one row per broken rule, checked against the sources and not from the clock the build used
WITH hours AS (
    SELECT
        exchange, session, open_ts, close_ts,
        lag(close_ts) OVER by_session                AS previous_close_ts,
        lead(close_ts, $horizon - 1) OVER by_session AS exit_ts
    FROM lake.main.sessions
    WINDOW by_session AS (PARTITION BY exchange ORDER BY session)
), first_versions AS (
    SELECT headline_id, min(available_at) AS available_at
    FROM headline_versions
    GROUP BY headline_id
), days AS (
    -- By the stamps themselves, whatever was declared or stored of them: where most have one time of day
    -- it is the time at which a day begins, and the day lasts for twenty-four hours more. Only a stamp
    -- that is no midnight we know may be a day on a clock that was declared, if it was kept until such
    -- a day was over: at noon UTC of the next.
    SELECT h.headline_id, h.published_at + INTERVAL 24 HOURS AS over_at
    FROM headlines AS h
    LEFT JOIN day_times AS d
        ON d.source = h.source AND d.time_of_day = (h.published_at AT TIME ZONE 'UTC')::TIME
    WHERE h.availability = 'asserted'
        AND (d.source IS NOT NULL OR h.granularity = 'day')
        AND (
            h.granularity <> 'day'
            OR h.available_at < day_is_over(((h.published_at - INTERVAL 12 HOURS) AT TIME ZONE 'UTC')::DATE)
            OR (h.published_at AT TIME ZONE 'UTC')::TIME = TIME '00:00:00'
            OR (h.published_at AT TIME ZONE 'America/New_York')::TIME = TIME '00:00:00'
            OR (h.published_at AT TIME ZONE 'America/Los_Angeles')::TIME = TIME '00:00:00'
        )
), shown AS (
    SELECT
        e.example_id, max(t.available_at) AS available_at, count(*) - count(t.headline_id) AS lost,
        max(d.over_at) AS day_over_at
    FROM (SELECT example_id, unnest(headline_ids) AS headline_id FROM full_examples) AS e
    LEFT JOIN first_versions AS t USING (headline_id)
    LEFT JOIN days AS d USING (headline_id)
    GROUP BY e.example_id
), checked AS (
    SELECT
        e.example_id,
        unnest([
            CASE WHEN e.max_input_available_at >= e.decision_ts
                 THEN 'max_input_available_at < decision_ts' END,
            CASE WHEN s.available_at >= e.decision_ts
                 THEN 'every shown headline was available before decision_ts' END,
            CASE WHEN s.day_over_at >= e.decision_ts
                 THEN 'every shown headline that is dated by a day was shown after that day' END,
            CASE WHEN s.lost > 0 THEN 'every shown headline is in the warehouse' END,
            CASE WHEN e.decision_ts IS DISTINCT FROM
                      CASE WHEN $decide_at = 'open' THEN h.open_ts ELSE h.previous_close_ts END
                      - $lead::INTERVAL
                 THEN 'decision_ts is the lead before the exchange''s hour' END,
            CASE WHEN e.label_start_ts IS DISTINCT FROM
                      CASE WHEN $entry = 'open' THEN h.open_ts ELSE h.previous_close_ts END
                 THEN 'label_start_ts is the entry''s hour' END,
            CASE WHEN e.label_end_ts IS DISTINCT FROM h.exit_ts
                 THEN 'label_end_ts is the exit''s hour' END,
            CASE WHEN $tradable AND e.decision_ts > e.label_start_ts
                 THEN 'decision_ts <= label_start_ts' END,
            CASE WHEN e.decision_ts >= e.label_end_ts THEN 'decision_ts < label_end_ts' END,
            CASE WHEN e.label_start_ts >= e.label_end_ts THEN 'label_start_ts < label_end_ts' END
        ]) AS rule
    FROM full_examples AS e
    LEFT JOIN ticker_exchanges AS l USING (ticker)
    LEFT JOIN hours AS h
        ON h.exchange = coalesce(l.exchange, $exchange) AND h.session = e.session
    LEFT JOIN shown AS s USING (example_id)
)
SELECT rule AS what, count(*) AS rows, min(example_id) AS first_example
FROM checked
WHERE rule IS NOT NULL
GROUP BY rule
ORDER BY rule;


-- name: audit_survivorship
-- grain: one row per rule about who had to be in a dated universe that is broken
-- Membership is read from the source, and what had to be an example from memberships and news alone: a story
-- belongs to the first session decided after it was first available, and its ticker was a member then.
WITH outsiders AS (
    SELECT e.example_id
    FROM full_examples AS e
    LEFT JOIN lake.main.memberships AS m
        ON m.universe = $universe AND m.ticker = e.ticker AND e.session >= m.member_from
        AND (m.member_until IS NULL OR e.session < m.member_until)
    WHERE m.ticker IS NULL
), leavers AS (
    SELECT ticker, member_from, member_until
    FROM lake.main.memberships
    WHERE universe = $universe
        AND member_until <= (SELECT max(session) FROM lake.main.bars)
), stories AS (
    SELECT a.ticker, h.story_id, min(v.available_at) AS available_at
    FROM lake.main.headline_tickers AS a
    JOIN lake.main.headlines AS h USING (headline_id)
    JOIN headline_versions AS v USING (headline_id)
    WHERE a.ticker IN (SELECT ticker FROM leavers)
    GROUP BY ALL
), told AS (
    SELECT
        s.ticker,
        CASE WHEN s.available_at < d.decision_ts THEN d.session ELSE d.next_session END AS session
    FROM stories AS s
    LEFT JOIN ticker_exchanges AS l USING (ticker)
    JOIN clock_days AS d
        ON d.exchange = coalesce(l.exchange, $exchange) AND d.day = utc_day(s.available_at)
), owed AS (
    SELECT t.ticker, t.session
    FROM told AS t
    JOIN leavers AS m
        ON m.ticker = t.ticker AND t.session >= m.member_from AND t.session < m.member_until
    -- A bar of its own: whether a ticker that has none was a share at all, nobody can tell.
    WHERE t.ticker IN (SELECT ticker FROM lake.main.bars)
    GROUP BY ALL
    HAVING count(*) >= $min_headlines
), lost AS (
    SELECT concat(o.ticker, '@', o.session) AS example_id
    FROM owed AS o
    ANTI JOIN full_examples AS e ON e.ticker = o.ticker AND e.session = o.session
)
SELECT what, count(*) AS rows, min(example_id) AS first_example
FROM (
    SELECT 'an example of a ticker that was no member on the session' AS what, example_id
    FROM outsiders
    UNION ALL
    SELECT 'no example of a member that left later, though it had news and bars', example_id FROM lost
)
GROUP BY what
ORDER BY what;


-- name: audit_up_share
-- grain: one row: labelled examples and those up among them, of all members and of those who still are one
SELECT
    count(*)                                                  AS labelled,
    count(*) FILTER (label = 'up')                            AS up,
    count(*) FILTER (ticker IN (FROM survivors))              AS survivors_labelled,
    count(*) FILTER (label = 'up' AND ticker IN (FROM survivors)) AS survivors_up
FROM full_examples
WHERE label IS NOT NULL;


-- name: audit_survivors
-- builds: survivors
-- grain: one row per ticker that is a member of the universe on the last session with a bar
CREATE OR REPLACE TEMP TABLE survivors AS
SELECT DISTINCT ticker
FROM memberships
WHERE universe = $universe
    AND coalesce(member_until, 'infinity'::DATE) > (SELECT max(session) FROM bars);

SELECT ticker FROM survivors ORDER BY ticker;


-- name: audit_world_truncated
-- builds: features, headlines, headline_revisions, audit_bars, bars, bar_revisions, actions
-- grain: one temporary table per source, holding what was known at $moment and nothing later
-- They stand before the warehouse's own tables of the same names until they are dropped.
CREATE OR REPLACE TEMP TABLE headlines AS
WITH versions AS (
    SELECT * FROM lake.main.headlines
    UNION ALL BY NAME
    SELECT
        h.* EXCLUDE (revision, title, summary, published_at, available_at, payload_id),
        r.* EXCLUDE (headline_id, superseded_at)
    FROM lake.main.headline_revisions AS r
    JOIN lake.main.headlines AS h USING (headline_id)
)
SELECT * FROM versions
WHERE available_at < $moment
QUALIFY row_number() OVER (PARTITION BY headline_id ORDER BY revision DESC) = 1;

CREATE OR REPLACE TEMP TABLE headline_revisions AS
SELECT r.*
FROM lake.main.headline_revisions AS r
JOIN headlines AS h ON h.headline_id = r.headline_id AND r.revision < h.revision;

CREATE OR REPLACE TEMP TABLE audit_bars AS
SELECT t.*, row_number() OVER (PARTITION BY t.ticker, t.session ORDER BY t.vintage DESC) AS latest
FROM bar_versions AS t
LEFT JOIN ticker_exchanges AS l USING (ticker)
JOIN lake.main.sessions AS s
    ON s.exchange = coalesce(l.exchange, $exchange) AND s.session = t.session
WHERE s.close_ts + $bar_lag::INTERVAL < $moment AND (t.vintage = 1 OR t.recorded_at < $moment);

CREATE OR REPLACE TEMP TABLE bars AS
SELECT * EXCLUDE (latest, superseded_at) FROM audit_bars WHERE latest = 1;

CREATE OR REPLACE TEMP TABLE bar_revisions AS
SELECT * EXCLUDE (latest) FROM audit_bars WHERE latest > 1;

CREATE OR REPLACE TEMP TABLE actions AS
SELECT * FROM lake.main.actions WHERE ex_date <= $moment::TIMESTAMPTZ::DATE;

CREATE OR REPLACE TEMP TABLE features AS
SELECT * FROM lake.main.features WHERE available_at < $moment;


-- name: audit_world_restated
-- builds: bar_revisions, bars, features
-- grain: one row per bar and own value, all of them restated at $moment to others
CREATE OR REPLACE TEMP TABLE bar_revisions AS
SELECT * FROM lake.main.bar_revisions
UNION ALL BY NAME
SELECT *, $moment::TIMESTAMPTZ AS superseded_at FROM lake.main.bars;

CREATE OR REPLACE TEMP TABLE bars AS
SELECT * REPLACE (
    open * (1 + 0.3 * sin(epoch(session::TIMESTAMP) / 86400)) AS open,
    close * (1 + 0.3 * cos(epoch(session::TIMESTAMP) / 43200)) AS close,
    (volume * (1.5 + sin(epoch(session::TIMESTAMP) / 86400)))::BIGINT AS volume,
    vendor_adj_close * (1 + 0.3 * cos(epoch(session::TIMESTAMP) / 43200)) AS vendor_adj_close,
    $moment::TIMESTAMPTZ AS recorded_at,
    (vintage + 1)::INTEGER AS vintage
)
FROM lake.main.bars;

CREATE OR REPLACE TEMP TABLE features AS
SELECT * FROM lake.main.features
UNION ALL BY NAME
SELECT * REPLACE (
    1e6 + coalesce(number, 0) AS number,
    'RESTATED'                AS text,
    greatest(available_at, $moment::TIMESTAMPTZ) AS available_at,
    $moment::TIMESTAMPTZ      AS first_seen_at,
    (revision + 1)::INTEGER   AS revision
)
FROM lake.main.features
QUALIFY revision = max(revision) OVER (PARTITION BY feature_set, ticker, known_at, name);


-- name: audit_world_planted
-- builds: plants, headline_revisions, headlines, headline_tickers, features
-- grain: one row per headline, with false ones planted where no earlier decision may see them
-- Around a sample of decisions: news at the decision and after it, old news first seen at it, an
-- edit of a shown headline, and a later near duplicate of a shown story.
CREATE OR REPLACE TEMP TABLE plants AS
WITH chosen AS (
    SELECT ticker, session, decision_ts, label_end_ts, headline_ids[-1] AS shown
    FROM full_examples
    ORDER BY md5(example_id || $seed)
    LIMIT $plants
), planted AS (
    SELECT
        ticker,
        shown,
        unnest([
            {kind: 'at the decision', available_at: decision_ts, published_at: decision_ts},
            {kind: 'a minute late', available_at: decision_ts + INTERVAL 1 MINUTE,
             published_at: decision_ts + INTERVAL 1 MINUTE},
            {kind: 'after the outcome', available_at: label_end_ts, published_at: label_end_ts},
            {kind: 'seen late', available_at: decision_ts,
             published_at: decision_ts - INTERVAL 2 HOUR},
            {kind: 'edit', available_at: decision_ts, published_at: NULL},
            {kind: 'near duplicate', available_at: label_end_ts, published_at: label_end_ts}
        ], recursive := true)
    FROM chosen
)
SELECT *, 'planted-' || md5(concat_ws('|', ticker, kind, available_at)) AS plant_id
FROM planted
WHERE kind NOT IN ('edit', 'near duplicate') OR shown IS NOT NULL;

CREATE OR REPLACE TEMP TABLE headline_revisions AS
SELECT * FROM lake.main.headline_revisions
UNION ALL BY NAME
SELECT
    h.headline_id, h.revision, h.title, h.summary, h.published_at, h.available_at, h.payload_id,
    min(p.available_at) AS superseded_at
FROM plants AS p
JOIN lake.main.headlines AS h ON h.headline_id = p.shown
WHERE p.kind = 'edit' AND h.available_at < p.available_at
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE headlines AS
SELECT
    h.* REPLACE (
        coalesce('PLANTED edit ' || h.headline_id || e.at, h.title) AS title,
        coalesce(e.at, h.available_at)                               AS available_at,
        h.revision + CASE WHEN e.at IS NULL THEN 0 ELSE 1 END        AS revision
    )
FROM lake.main.headlines AS h
LEFT JOIN (
    SELECT p.shown AS headline_id, min(p.available_at) AS at
    FROM plants AS p
    JOIN lake.main.headlines AS h ON h.headline_id = p.shown
    WHERE p.kind = 'edit' AND h.available_at < p.available_at
    GROUP BY ALL
) AS e ON e.headline_id = h.headline_id
UNION ALL BY NAME
SELECT
    p.plant_id                                                                AS headline_id,
    CASE WHEN p.kind = 'near duplicate' THEN h.story_id ELSE p.plant_id END        AS story_id,
    'audit'                                                                   AS source,
    'PLANTED ' || p.kind || ' ' || p.plant_id                                 AS title,
    p.published_at,
    p.available_at                                                            AS first_seen_at,
    p.available_at,
    'observed'                                                                AS availability,
    true                                                                      AS synthetic,
    'none'                                                                    AS payload_id,
    1                                                                         AS revision
FROM plants AS p
LEFT JOIN lake.main.headlines AS h ON h.headline_id = p.shown
WHERE p.kind <> 'edit';

CREATE OR REPLACE TEMP TABLE headline_tickers AS
SELECT headline_id, ticker, method FROM lake.main.headline_tickers
UNION ALL
SELECT plant_id, ticker, 'audit' FROM plants WHERE kind <> 'edit';

-- Own columns at each of these decisions, for its ticker alone: they hold from then on.
CREATE OR REPLACE TEMP TABLE features AS
SELECT * FROM lake.main.features
UNION ALL BY NAME
SELECT
    w.feature_set, p.ticker, p.available_at AS known_at, 'second' AS granularity, w.name,
    1e6 AS number, 'PLANTED' AS text, p.available_at, p.available_at AS first_seen_at,
    'none' AS payload_id, 1::INTEGER AS revision
FROM plants AS p
CROSS JOIN (
    SELECT DISTINCT feature_set, name
    FROM lake.main.features
    WHERE ticker <> '*' AND list_contains($feature_sets::VARCHAR[], feature_set)
) AS w
WHERE p.kind = 'at the decision';


-- name: audit_disturbed
-- builds: disturbed
-- grain: one row per example that planted news may rightly move
-- The first decision of its ticker strictly after it was available, and the next, whose distance to
-- earlier news changes; and all that come after planted own columns. Edits of what was shown and near
-- duplicates may move none.
INSERT INTO disturbed
WITH decided AS (
    SELECT ticker, example_id, decision_ts FROM full_examples
    UNION
    SELECT ticker, example_id, decision_ts FROM fresh_examples
)
SELECT DISTINCT example_id
FROM (
    SELECT d.example_id
    FROM plants AS p
    JOIN decided AS d ON d.ticker = p.ticker AND d.decision_ts > p.available_at
    WHERE p.kind NOT IN ('edit', 'near duplicate')
    QUALIFY row_number() OVER (PARTITION BY p.plant_id ORDER BY d.decision_ts) <= 2
    UNION ALL
    SELECT d.example_id
    FROM features AS f
    JOIN decided AS d ON d.ticker = f.ticker AND d.decision_ts > f.available_at
    WHERE f.payload_id = 'none' AND f.text = 'PLANTED'
);


-- name: audit_world_drop
-- builds: none; the warehouse's own tables are seen again
-- grain: one row per temporary table dropped; the warehouse's own tables are seen again
DROP TABLE IF EXISTS temp.main.headlines;
DROP TABLE IF EXISTS temp.main.headline_revisions;
DROP TABLE IF EXISTS temp.main.headline_tickers;
DROP TABLE IF EXISTS temp.main.bars;
DROP TABLE IF EXISTS temp.main.bar_revisions;
DROP TABLE IF EXISTS temp.main.actions;
DROP TABLE IF EXISTS temp.main.features;
DROP TABLE IF EXISTS temp.main.audit_bars;

DELETE FROM disturbed;


-- name: audit_moved
-- grain: one row per column in which an example decided by $until differs between the two builds
-- An example that only one build has counts as differing in `presence`. Labels are compared once
-- their window had ended, unless a bar was revised since.
WITH pairs AS (
    SELECT
        coalesce(f.example_id, o.example_id) AS example_id,
        f.ticker IS NULL OR o.ticker IS NULL AS lone,
        f,
        o
    FROM full_examples AS f
    FULL JOIN fresh_examples AS o USING (example_id)
    ANTI JOIN disturbed USING (example_id)
    WHERE coalesce(f.decision_ts, o.decision_ts) <= $until
), named AS (
    SELECT
        example_id,
        unnest([
            CASE WHEN lone THEN 'presence' END,
            CASE WHEN NOT lone AND f.input IS DISTINCT FROM o.input THEN 'input' END,
            CASE WHEN NOT lone AND f.headline_ids IS DISTINCT FROM o.headline_ids
                 THEN 'headline_ids' END,
            CASE WHEN NOT lone AND f.features IS DISTINCT FROM o.features THEN 'own columns' END,
            CASE WHEN NOT lone AND f.previous_return IS DISTINCT FROM o.previous_return
                 THEN 'previous_return' END,
            CASE WHEN NOT lone AND f.max_input_available_at IS DISTINCT FROM o.max_input_available_at
                 THEN 'max_input_available_at' END,
            CASE WHEN NOT lone AND f.availability IS DISTINCT FROM o.availability
                 THEN 'availability' END,
            CASE WHEN NOT lone AND $compare_labels AND f.label_end_ts < $until
                      AND f.label_return IS DISTINCT FROM o.label_return
                      AND NOT EXISTS (
                          SELECT 1 FROM lake.main.bar_revisions AS r WHERE r.ticker = f.ticker
                      )
                 THEN 'label_return' END
        ]) AS moved
    FROM pairs
)
SELECT moved AS what, count(*) AS rows, min(example_id) AS first_example
FROM named
WHERE moved IS NOT NULL
GROUP BY moved
ORDER BY moved;


-- name: audit_split
-- grain: one row per rule about the splits that is broken, or fact about them (is_rule false)
WITH rows AS (
    SELECT r.split, e.*
    FROM split_rows AS r
    JOIN examples AS e ON e.spec_id = $spec_id AND e.ticker = r.ticker AND e.session = r.session
    WHERE r.split IS NOT NULL
), ordered AS (
    SELECT *, list_position(['train', 'validation', 'test', 'final'], split) AS part FROM rows
), overlap AS (
    SELECT a.example_id
    FROM ordered AS a
    JOIN (
        SELECT p.part, min(o.decision_ts) AS next_decision_ts
        FROM (SELECT DISTINCT part FROM ordered) AS p
        JOIN ordered AS o ON o.part > p.part
        GROUP BY p.part
    ) AS n ON n.part = a.part AND a.label_end_ts > n.next_decision_ts
), sessions_shared AS (
    SELECT session FROM ordered GROUP BY session HAVING count(DISTINCT part) > 1
), stories AS (
    SELECT story_id, count(DISTINCT part) AS parts
    FROM (SELECT part, unnest(story_ids) AS story_id FROM ordered)
    GROUP BY story_id
), words AS (
    SELECT regexp_replace(lower(input), '[^a-z]+', ' ', 'g') AS text, count(DISTINCT part) AS parts
    FROM ordered
    GROUP BY text
), unseen AS (
    SELECT ticker FROM ordered GROUP BY ticker HAVING min(part) > 1
)
SELECT true AS is_rule, 'label windows end before the next split begins' AS rule, count(*) AS rows
FROM overlap
UNION ALL
SELECT true, 'all rows of a session are in one split', count(*) FROM sessions_shared
UNION ALL
SELECT true, 'no story is shown in two splits', count(*) FROM stories WHERE parts > 1
UNION ALL
SELECT false, 'inputs whose words occur in two splits', count(*) FROM words WHERE parts > 1
UNION ALL
SELECT false, 'tickers that training never saw', count(*) FROM unseen
UNION ALL
SELECT false, 'looks at sessions of the final holdout, other than its opening', count(*)
FROM looks
WHERE split <> 'final'
    AND list_has_any(sessions, (SELECT list(DISTINCT session) FROM ordered WHERE part = 4));
