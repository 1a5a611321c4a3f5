-- grain: one row per ticker and session of the stretch that will be an example, with its news
-- Text on one line, without control characters; what is plain already is not searched twice.
CREATE OR REPLACE TEMP MACRO one_line(words) AS
    CASE WHEN regexp_matches(words, '[^ -~]|  |^ | $')
         THEN trim(regexp_replace(words, '[\s\pC\pZ]+', ' ', 'g'))
         ELSE words END;

-- What gives a ticker away in a text: its symbol, its cashtag, its names.
CREATE OR REPLACE TEMP TABLE giveaways AS
SELECT
    l.number,
    '(?i)\$?\b(' || string_agg(regexp_escape(a.alias), '|' ORDER BY length(a.alias) DESC, a.alias) || ')\b'
        AS pattern
FROM listings AS l
JOIN (SELECT ticker, alias FROM tickers UNION SELECT ticker, ticker FROM listings) AS a
    USING (ticker)
WHERE $mask IS NOT NULL
GROUP BY l.number;

-- Each headline is worded here, once.
CREATE OR REPLACE TEMP TABLE gathered AS
WITH told AS (
    SELECT headline_id, story_id, source, title, summary, published_at, available_at, availability,
        1 AS wording
    FROM headlines
    WHERE available_at >= $from_ts AND available_at < $until_ts
    UNION ALL
    SELECT r.headline_id, h.story_id, h.source, r.title, r.summary, r.published_at, r.available_at,
        h.availability, -r.revision
    FROM headline_revisions AS r
    -- Whatever was edited is a telling of a story told before.
    JOIN retold AS h ON h.headline_id = r.headline_id AND h.wording = -r.revision
    WHERE r.available_at >= $from_ts AND r.available_at < $until_ts
), worded AS (
    SELECT
        p.cell,
        t.available_at,
        t.availability,
        t.published_at,
        t.headline_id,
        t.story_id,
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
    FROM told AS t
    JOIN placed AS p ON p.headline_id = t.headline_id AND p.wording = t.wording
    LEFT JOIN giveaways AS m ON $mask IS NOT NULL AND m.number = p.cell // 1000000
    LEFT JOIN listings AS l ON $uses_age AND l.number = p.cell // 1000000
    LEFT JOIN clock AS c
        ON $uses_age AND c.exchange = l.exchange AND c.position = p.cell % 1000000
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
            published_at: published_at,
            headline_id: headline_id,
            story_id: story_id,
            line: line
        },
        $max_headlines
    )                                   AS latest
FROM worded
GROUP BY cell
HAVING count(*) >= $min_headlines;

-- The days with news, for the distance from one to the next.
INSERT INTO news_days
SELECT g.cell // 1000000, c.session
FROM gathered AS g
JOIN listings AS l ON l.number = g.cell // 1000000
JOIN clock AS c ON c.exchange = l.exchange AND c.position = g.cell % 1000000
WHERE $uses_context;

-- If none is asked for, every session from a ticker's first bar to one past the exchange's last counts.
INSERT INTO gathered BY NAME
SELECT e.number * 1000000 + c.position AS cell, 0 AS headline_count
FROM ends AS e
JOIN listings AS l ON l.number = e.number AND l.is_subject
JOIN clock AS c
    ON c.exchange = e.exchange
    AND c.session >= e.first_session AND c.position <= e.last_position + 1
ANTI JOIN gathered AS g ON g.cell = e.number * 1000000 + c.position
WHERE $min_headlines = 0 AND c.session >= $from_session AND c.session < $until_session;

-- How many headlines an example may show where the token budget has cut it down.
CREATE OR REPLACE TEMP TABLE allowances (ticker VARCHAR, session DATE, allowed BIGINT);
