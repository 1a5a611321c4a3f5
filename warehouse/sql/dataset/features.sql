-- Features: which values of the user's own columns were known at a decision, and how they read.


-- name: features_unknown
-- grain: one row per wanted column of which the warehouse holds no row at all
SELECT w.feature_set, w.name
FROM (SELECT unnest($wanted_features, recursive := true)) AS w
ANTI JOIN features AS f ON f.feature_set = w.feature_set AND f.name = w.name
ORDER BY w.place;


-- name: features_none
-- builds: own_features
-- grain: no rows: the specification has no own columns
CREATE OR REPLACE TEMP TABLE own_features (
    cell BIGINT,
    available_at TIMESTAMPTZ,
    features STRUCT(
        feature_set VARCHAR, name VARCHAR, ticker VARCHAR, known_at TIMESTAMPTZ, revision INTEGER,
        number DOUBLE, text VARCHAR
    )[],
    words VARCHAR[]
);


-- name: features_known
-- builds: wanted_features, feature_spans
-- grain: one row per wanted column, ticker and instant from which on another of its rows is the one that counts
-- The row that counts is the latest (by known_at) of those available, in its latest revision available. A
-- revision of a row that a later one has replaced by then never counts: it is not the largest so far.
CREATE OR REPLACE TEMP TABLE wanted_features AS
SELECT
    w.*,
    EXISTS (
        SELECT 1 FROM features AS f WHERE f.feature_set = w.feature_set AND f.ticker = '*'
    ) AS of_market
FROM (SELECT unnest($wanted_features, recursive := true)) AS w;

CREATE OR REPLACE TEMP TABLE feature_spans AS
SELECT w.place, f.ticker, f.known_at, f.revision, f.number, f.text, f.available_at
FROM features AS f
JOIN wanted_features AS w USING (feature_set, name)
QUALIFY {known_at: f.known_at, revision: f.revision} = max({known_at: f.known_at, revision: f.revision})
    OVER (PARTITION BY w.place, f.ticker ORDER BY f.available_at);


-- name: features_joined
-- builds: own_features
-- grain: one row per example of the batch, with its own columns as known at the decision
-- words: what fills the template's marked places (tasks/dataset/spec/features.py numbers them): the line of
-- all columns, then the value and the age of each.
CREATE OR REPLACE TEMP TABLE own_features AS
WITH asked AS (
    SELECT
        g.cell, c.decision_ts, w.*,
        cell_number(g.cell)                                     AS number_of_ticker,
        CASE WHEN w.of_market THEN '*' ELSE l.ticker END        AS subject
    FROM gathered AS g
    JOIN listings AS l ON l.number = cell_number(g.cell)
    JOIN clock AS c ON c.exchange = l.exchange AND c.position = cell_position(g.cell)
    CROSS JOIN wanted_features AS w
), found AS (
    SELECT
        a.cell, a.number_of_ticker, a.place, a.feature_set, a.name, a.digits, a.line, a.decision_ts,
        CASE
            WHEN a.time_to_live_us IS NULL
                OR epoch_us(a.decision_ts) - epoch_us(s.known_at) <= a.time_to_live_us THEN s
        END AS known
    FROM asked AS a
    ASOF LEFT JOIN feature_spans AS s
        ON s.place = a.place AND s.ticker = a.subject AND a.decision_ts > s.available_at
), worded AS (
    SELECT
        f.*,
        CASE
            WHEN f.known.number IS NOT NULL THEN format(
                '{:.' || f.digits || 'f}',
                -- Zero has one spelling.
                CASE WHEN round(f.known.number, f.digits) = 0 THEN 0 ELSE f.known.number END
            )
            WHEN f.known.text IS NOT NULL THEN left(one_line(
                CASE WHEN m.pattern IS NULL THEN f.known.text
                     ELSE regexp_replace(f.known.text, m.pattern, $mask, 'g') END
            ), $max_title_chars)
            ELSE '?'
        END AS value,
        coalesce(
            ((epoch_us(f.decision_ts) - epoch_us(f.known.known_at)) // 86400000000)::VARCHAR, '?'
        ) AS age
    FROM found AS f
    LEFT JOIN identifiers AS m ON $mask IS NOT NULL AND m.number = f.number_of_ticker
)
SELECT
    cell,
    max(known.available_at) AS available_at,
    list({
        feature_set: feature_set, name: name, ticker: known.ticker, known_at: known.known_at,
        revision: known.revision, number: known.number, text: known.text
    } ORDER BY place) AS features,
    list_concat(
        [string_agg(format(line, name, value, age), '; ' ORDER BY place)],
        flatten(list([value, age] ORDER BY place))
    ) AS words
FROM worded
GROUP BY cell;


-- name: dataset_features
-- grain: one row per own column of the examples that are in a split
-- observed: held a row that had been imported before the decision; asserted: one imported after it.
WITH held AS (
    SELECT e.ticker, e.decision_ts, unnest(e.features) AS own
    FROM split_rows AS r
    JOIN examples AS e USING (ticker, session)
    WHERE e.spec_id = $spec_id AND r.split IS NOT NULL
)
SELECT
    h.own.feature_set || '.' || h.own.name                               AS name,
    count(*)                                                             AS examples,
    count(*) FILTER (coalesce(h.own.number::VARCHAR, h.own.text) IS NOT NULL) AS known,
    count(*) FILTER (f.first_seen_at < h.decision_ts)                    AS observed,
    count(*) FILTER (f.first_seen_at >= h.decision_ts)                   AS asserted
FROM held AS h
LEFT JOIN features AS f
    ON f.feature_set = h.own.feature_set AND f.name = h.own.name AND f.ticker = h.own.ticker
    AND f.known_at = h.own.known_at AND f.revision = h.own.revision
GROUP BY ALL
ORDER BY name;
