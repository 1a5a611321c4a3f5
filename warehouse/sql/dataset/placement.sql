-- Placement: each headline at the first session decided strictly after it was available.


-- name: examples_repeats
-- builds: touched_stories, near_duplicates, touched_subjects, lent_subjects, repeats, news_days
-- grain: one row per headline version that does not count: not the first of its story for the ticker
-- Stories of which a version is available from $from_ts on are looked at, through all their history.
-- wording: as in the view headline_versions.
CREATE OR REPLACE TEMP TABLE touched_stories AS
WITH recent AS (
    SELECT story_id FROM headlines WHERE available_at >= $from_ts
    UNION
    SELECT h.story_id
    FROM headline_revisions AS r
    JOIN headlines AS h USING (headline_id)
    WHERE r.available_at >= $from_ts
)
SELECT headline_id, story_id, source, availability, published_at, available_at
FROM headlines
WHERE NOT $whole AND story_id IN (SELECT story_id FROM recent);

CREATE OR REPLACE TEMP TABLE near_duplicates AS
WITH current AS NOT MATERIALIZED (
    SELECT * FROM touched_stories
    UNION ALL
    SELECT headline_id, story_id, source, availability, published_at, available_at
    FROM headlines
    WHERE $whole
), versions AS NOT MATERIALIZED (
    SELECT *, 1 AS wording FROM current
    UNION ALL
    SELECT r.headline_id, h.story_id, h.source, h.availability, r.published_at, r.available_at,
        -r.revision
    FROM headline_revisions AS r
    JOIN current AS h USING (headline_id)
)
-- Only a story with another version than its own headline can repeat.
SELECT *
FROM versions
WHERE story_id IN (SELECT story_id FROM versions WHERE story_id <> headline_id OR wording < 0);

-- The tickers that these and the headlines to be placed are about, found in one reading of a long table.
CREATE OR REPLACE TEMP TABLE touched_subjects AS
SELECT headline_id, ticker
FROM headline_tickers
WHERE NOT $whole AND headline_id IN (
    SELECT headline_id FROM touched_stories
    UNION
    SELECT headline_id FROM headline_revisions WHERE available_at >= $from_ts
);

-- What is about a share under its other ticker, from before it was renamed.
CREATE OR REPLACE TEMP TABLE lent_subjects AS
WITH subjects AS NOT MATERIALIZED (
    SELECT headline_id, ticker FROM touched_subjects
    UNION ALL
    SELECT headline_id, ticker FROM headline_tickers WHERE $whole
)
SELECT DISTINCT a.headline_id, t.ticker
FROM subjects AS a
JOIN lent AS t ON t.lender = a.ticker
JOIN headlines AS h ON h.headline_id = a.headline_id AND h.available_at < t.renamed_on::TIMESTAMPTZ
ANTI JOIN subjects AS own ON own.headline_id = a.headline_id AND own.ticker = t.ticker;

CREATE OR REPLACE TEMP TABLE repeats AS
WITH subjects AS NOT MATERIALIZED (
    SELECT headline_id, ticker FROM touched_subjects
    UNION ALL
    SELECT headline_id, ticker FROM headline_tickers WHERE $whole
    UNION ALL
    FROM lent_subjects
), placed AS (
    SELECT
        l.number,
        t.*,
        d.position + CASE WHEN t.available_at < d.decision_ts THEN 0 ELSE 1 END AS position
    FROM near_duplicates AS t
    JOIN subjects AS a ON a.headline_id = t.headline_id
    JOIN listings AS l ON l.ticker = a.ticker AND l.is_subject
    JOIN clock_days AS d ON d.exchange = l.exchange AND d.day = utc_day(t.available_at)
)
SELECT number, headline_id, wording
FROM placed
-- Of wordings available at one instant the earliest counts; without a last key, the plan would choose.
QUALIFY row_number() OVER (
    PARTITION BY number, story_id
    ORDER BY position, published_at, headline_id, available_at, wording > 0, wording DESC
) > 1;

-- The sessions before the build with news of a ticker, as far as they are stored.
CREATE OR REPLACE TEMP TABLE news_days AS
SELECT l.number, e.session
FROM examples AS e
JOIN listings AS l USING (ticker)
WHERE e.spec_id = $spec_id AND e.session < $from_session AND len(e.headline_ids) > 0
    AND $uses_context;


-- name: examples_placed
-- builds: placed
-- grain: one row per headline, wording and ticker that counts, at its session
-- A headline belongs to the first session decided strictly after it was available, which is looked up
-- by the UTC day: at most one decision falls on a day. The texts are fetched later, batch by batch.
CREATE OR REPLACE TEMP TABLE placed AS
WITH versions AS (
    SELECT headline_id, available_at, wording
    FROM headline_versions
    WHERE available_at >= $from_ts
), subjects AS NOT MATERIALIZED (
    SELECT headline_id, ticker FROM touched_subjects
    UNION ALL
    SELECT headline_id, ticker FROM headline_tickers WHERE $whole
    UNION ALL
    FROM lent_subjects
), found AS (
    SELECT
        t.headline_id, t.wording, l.number,
        CASE WHEN t.available_at < d.decision_ts THEN d.position ELSE d.position + 1 END  AS position,
        CASE WHEN t.available_at < d.decision_ts THEN d.session ELSE d.next_session END   AS shown_in
    FROM versions AS t
    JOIN subjects AS a ON a.headline_id = t.headline_id
    JOIN listings AS l ON l.ticker = a.ticker AND l.is_subject
    JOIN clock_days AS d ON d.exchange = l.exchange AND d.day = utc_day(t.available_at)
)
SELECT cell_of(f.number, f.position) AS cell, f.shown_in, f.headline_id, f.wording
FROM found AS f
ANTI JOIN repeats AS r
    ON r.number = f.number AND r.headline_id = f.headline_id AND r.wording = f.wording
WHERE f.shown_in >= $from_session;

-- Of a dated universe only who is a member on the session has an example.
DELETE FROM placed
WHERE $universe IS NOT NULL AND NOT EXISTS (
    SELECT 1
    FROM members AS m
    WHERE m.number = cell_number(placed.cell) AND placed.cell BETWEEN m.first_cell AND m.last_cell
);


-- name: examples_gathered
-- builds: identifiers, gathered, headline_limits; news_days grows
-- grain: one row per ticker and session of the batch that will be an example, with its news
-- What identifies a ticker in a text: its symbol, its cashtag, its names.
CREATE OR REPLACE TEMP TABLE identifiers AS
SELECT
    l.number,
    '(?i)\$?\b(' || string_agg(regexp_escape(a.alias), '|' ORDER BY length(a.alias) DESC, a.alias) || ')\b'
        AS pattern
FROM listings AS l
JOIN (SELECT ticker, alias FROM tickers UNION SELECT ticker, ticker FROM listings) AS a
    USING (ticker)
WHERE $mask IS NOT NULL
GROUP BY l.number;

-- Each headline is rendered here, once.
CREATE OR REPLACE TEMP TABLE gathered AS
WITH versions AS (
    SELECT headline_id, story_id, source, title, summary, published_at, available_at, availability,
        1 AS wording
    FROM headlines
    WHERE available_at >= $from_ts AND available_at < $until_ts
    UNION ALL
    SELECT r.headline_id, h.story_id, h.source, r.title, r.summary, r.published_at, r.available_at,
        h.availability, -r.revision
    FROM headline_revisions AS r
    -- Whatever was edited is a version of a story known before.
    JOIN near_duplicates AS h ON h.headline_id = r.headline_id AND h.wording = -r.revision
    WHERE r.available_at >= $from_ts AND r.available_at < $until_ts
), rendered AS (
    SELECT
        p.cell, t.available_at, t.availability, t.published_at, t.headline_id, t.story_id,
        format(
            $headline_template,
            left(one_line(
                CASE WHEN m.pattern IS NULL THEN t.title
                     ELSE regexp_replace(t.title, m.pattern, $mask, 'g') END
            ), $max_title_chars),
            t.source,
            CASE WHEN $uses_summary THEN one_line(
                CASE WHEN m.pattern IS NULL THEN coalesce(t.summary, '')
                     ELSE regexp_replace(coalesce(t.summary, ''), m.pattern, $mask, 'g') END
            ) ELSE '' END,
            CASE WHEN $uses_age THEN concat(
                (epoch_us(c.decision_ts) - epoch_us(t.published_at)) // 3600000000, 'h'
            ) ELSE '' END
        ) AS line
    FROM versions AS t
    JOIN placed AS p ON p.headline_id = t.headline_id AND p.wording = t.wording
    LEFT JOIN identifiers AS m ON $mask IS NOT NULL AND m.number = cell_number(p.cell)
    LEFT JOIN listings AS l ON $uses_age AND l.number = cell_number(p.cell)
    LEFT JOIN clock AS c
        ON $uses_age AND c.exchange = l.exchange AND c.position = cell_position(p.cell)
    WHERE p.shown_in >= $from_session AND p.shown_in < $until_session
)
SELECT
    cell,
    count(*)                            AS headline_count,
    max(available_at)                   AS news_available_at,
    bool_and(availability = 'observed') AS observed,
    -- The latest ones, latest first; published_at and headline_id stand first and so decide.
    max(
        {
            published_at: published_at, headline_id: headline_id, story_id: story_id, line: line
        },
        $max_headlines
    )                                   AS latest
FROM rendered
GROUP BY cell
HAVING count(*) >= $min_headlines;

-- The days with news, for the distance from one to the next.
INSERT INTO news_days
SELECT cell_number(g.cell), c.session
FROM gathered AS g
JOIN listings AS l ON l.number = cell_number(g.cell)
JOIN clock AS c ON c.exchange = l.exchange AND c.position = cell_position(g.cell)
WHERE $uses_context;

-- If none is required, every session from a ticker's first bar to one past the exchange's last counts.
INSERT INTO gathered BY NAME
SELECT cell_of(e.number, c.position) AS cell, 0 AS headline_count
FROM ends AS e
JOIN listings AS l ON l.number = e.number AND l.is_subject
JOIN clock AS c
    ON c.exchange = e.exchange
    AND c.session >= e.first_session AND c.position <= e.last_position + 1
ANTI JOIN gathered AS g ON g.cell = cell_of(e.number, c.position)
WHERE $min_headlines = 0 AND c.session >= $from_session AND c.session < $until_session
    AND ($universe IS NULL OR EXISTS (
        SELECT 1
        FROM members AS m
        WHERE m.number = e.number
            AND cell_of(e.number, c.position) BETWEEN m.first_cell AND m.last_cell
    ));

-- How many headlines an example may show where the token budget has cut it down.
CREATE OR REPLACE TEMP TABLE headline_limits (ticker VARCHAR, session DATE, max_shown BIGINT);
