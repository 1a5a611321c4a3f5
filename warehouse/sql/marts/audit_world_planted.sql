-- grain: one row per headline, with false ones planted where no earlier decision may see them
-- Around a sample of decisions: news at the decision and after it, old news first seen at it, an
-- edit of a shown headline, and a later retelling of a shown story.
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
            {kind: 'retelling', available_at: label_end_ts, published_at: label_end_ts}
        ], recursive := true)
    FROM chosen
)
SELECT *, 'planted-' || md5(concat_ws('|', ticker, kind, available_at)) AS plant_id
FROM planted
WHERE kind NOT IN ('edit', 'retelling') OR shown IS NOT NULL;

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
    CASE WHEN p.kind = 'retelling' THEN h.story_id ELSE p.plant_id END        AS story_id,
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
