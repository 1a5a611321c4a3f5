-- The look-ahead audit of own columns: the join as of the decision made again, another way.


-- name: audit_features
-- grain: one row per broken rule of own columns, recomputed from the stored rows and not by the build's join
-- When a stored row can be known is worked out anew, from its stamp alone: a day is over after 24 hours, and a
-- revision is not known before it was imported. Decisions and rows of a column are put in one order of time,
-- decisions first; the largest (known_at, revision) so far is the row that counts.
WITH wanted AS (
    SELECT unnest($wanted_features, recursive := true)
), stored AS (
    SELECT
        w.place, f.ticker, f.known_at, f.revision, f.available_at, f.number, f.text,
        greatest(
            f.known_at + CASE WHEN f.granularity = 'day' THEN INTERVAL 24 HOURS ELSE INTERVAL 0 HOURS END,
            CASE WHEN f.revision > 1 THEN f.first_seen_at END
        ) AS earliest
    FROM lake.main.features AS f
    JOIN wanted AS w USING (feature_set, name)
), asked AS (
    SELECT
        e.example_id, w.place, w.time_to_live_us, e.decision_ts, e.max_input_available_at,
        CASE WHEN EXISTS (SELECT 1 FROM stored AS s WHERE s.place = w.place AND s.ticker = '*')
             THEN '*' ELSE e.ticker END AS subject,
        e.features[w.place + 1] AS held
    FROM full_examples AS e
    CROSS JOIN wanted AS w
), timeline AS (
    SELECT place, subject, decision_ts AS moment, 0 AS turn, example_id, NULL AS event FROM asked
    UNION ALL
    SELECT
        place, ticker, available_at, 1, NULL,
        {known_at: known_at, revision: revision, number: number, text: text, available_at: available_at}
    FROM stored
), known AS (
    SELECT
        place, example_id,
        max(event) OVER (
            PARTITION BY place, subject ORDER BY moment, turn
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS event
    FROM timeline
), expected AS (
    SELECT
        a.*,
        CASE
            WHEN a.time_to_live_us IS NULL
                OR epoch_us(a.decision_ts) - epoch_us(k.event.known_at) <= a.time_to_live_us THEN k.event
        END AS event
    FROM asked AS a
    JOIN known AS k USING (place, example_id)
), checked AS (
    SELECT
        e.example_id,
        unnest([
            CASE WHEN e.held.known_at >= e.decision_ts OR s.earliest >= e.decision_ts
                 THEN 'every own column was known before decision_ts' END,
            CASE WHEN e.held.known_at IS NOT NULL AND s.known_at IS NULL
                 THEN 'every own column is in the warehouse' END,
            CASE WHEN epoch_us(e.decision_ts) - epoch_us(e.held.known_at) > e.time_to_live_us
                 THEN 'no own column is older than its time to live' END,
            CASE WHEN (e.held.known_at, e.held.revision, e.held.number, e.held.text)
                      IS DISTINCT FROM (e.event.known_at, e.event.revision, e.event.number, e.event.text)
                 THEN 'every own column is the last row known before decision_ts' END,
            CASE WHEN e.event.available_at > e.max_input_available_at
                 THEN 'max_input_available_at covers every own column' END
        ]) AS rule
    FROM expected AS e
    LEFT JOIN stored AS s
        ON s.place = e.place AND s.ticker = e.held.ticker AND s.known_at = e.held.known_at
        AND s.revision = e.held.revision
)
SELECT rule AS what, count(*) AS rows, min(example_id) AS first_example
FROM checked
WHERE rule IS NOT NULL
GROUP BY rule
ORDER BY rule;


-- name: audit_feature_facts
-- grain: one row per column and suspicious fact about it, in words
-- at midnight: most stamps that count as instants are midnight somewhere, on several days. backfilled: no
-- example holds a row that had been imported before its decision. telling: by the area under the ROC curve
-- the number alone ranks ups above downs (or below) as nothing public does, on 200 labelled examples or more.
WITH wanted AS (
    SELECT unnest($wanted_features, recursive := true)
), stamps AS (
    SELECT
        w.place, f.known_at,
        (f.known_at AT TIME ZONE 'UTC')::TIME = TIME '00:00:00'
        OR (f.known_at AT TIME ZONE 'America/New_York')::TIME = TIME '00:00:00'
        OR (f.known_at AT TIME ZONE 'America/Los_Angeles')::TIME = TIME '00:00:00' AS at_midnight
    FROM lake.main.features AS f
    JOIN wanted AS w USING (feature_set, name)
    WHERE f.granularity <> 'day'
), midnights AS (
    SELECT place, avg(at_midnight::INTEGER) AS share
    FROM stamps
    GROUP BY place
    HAVING avg(at_midnight::INTEGER) >= 0.6 AND count(DISTINCT known_at::DATE) >= 4
), held AS (
    SELECT e.label, e.decision_ts, w.place, e.features[w.place + 1] AS own
    FROM full_examples AS e
    CROSS JOIN wanted AS w
), backfilled AS (
    SELECT h.place
    FROM held AS h
    JOIN lake.main.features AS f
        ON f.feature_set = h.own.feature_set AND f.name = h.own.name AND f.ticker = h.own.ticker
        AND f.known_at = h.own.known_at AND f.revision = h.own.revision
    GROUP BY h.place
    HAVING NOT bool_or(f.first_seen_at < h.decision_ts)
), labelled AS (
    SELECT place, own.number AS number, label = 'up' AS is_up, own.number IS NOT NULL AS counts
    FROM held
    WHERE label IS NOT NULL AND own.number IS NOT NULL
), ranked AS (
    SELECT
        place, is_up,
        rank() OVER (PARTITION BY place ORDER BY number)
        + (count(*) OVER (PARTITION BY place, number) - 1) / 2 AS mean_rank
    FROM labelled
), areas AS (
    SELECT
        place,
        count(*) FILTER (is_up) AS ups,
        count(*) FILTER (NOT is_up) AS downs,
        (sum(mean_rank) FILTER (is_up) - ups * (ups + 1) / 2) / nullif(ups * downs, 0) AS area
    FROM ranked
    GROUP BY place
)
SELECT w.feature_set || '.' || w.name AS name, fact
FROM wanted AS w
JOIN (
    SELECT
        place, 1 AS number,
        'of its instants ' || round(100 * share)::INTEGER || ' % are midnight: if they are dates, declare '
        || 'granularity = "day" and import again' AS fact
    FROM midnights
    UNION ALL
    SELECT
        place, 2,
        'asserted alone: every row was imported after the decisions that hold it, so that only the file says '
        || 'when it was known'
    FROM backfilled
    UNION ALL
    SELECT
        place, 3,
        'alone it tells ups from downs with an area under the ROC curve of ' || format('{:.2f}', area)
        || ' over ' || (ups + downs) || ' examples: look at how it was made before you believe it'
    FROM areas
    WHERE ups + downs >= 200 AND abs(area - 0.5) >= 0.1
) AS f USING (place)
ORDER BY w.place, f.number;
