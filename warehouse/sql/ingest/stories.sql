-- Stories: headlines of the same news, linked and merged.


-- name: story_span
-- grain: one row with the number of stored headlines in a span of time
SELECT count(*) AS headlines
FROM headlines
WHERE published_at BETWEEN $first::TIMESTAMPTZ AND $last::TIMESTAMPTZ;


-- name: story_words
-- grain: one row per stored headline within $window of the span from $first to $last
-- words: what the title says, for comparison: lower case, without punctuation, addresses and handles,
-- wire prefixes (UPDATE 1-, RT), tickers in brackets and the publisher's name that aggregators append
-- (" - The Times"; $publisher says which names are one). Signs and currencies stay with their numbers,
-- units and initials get one spelling, and "…" stays at the end of a title that was cut off.
-- A filing is an event of its own, whatever others are titled, and a form ("8-K - Current report") says nothing
-- of its news: neither has words.
-- Patterns are tried only on titles that can contain them: they cost more than all the rest. A plain title, of
-- ASCII letters and single spaces without a word that any pattern looks for, is passed through.
WITH stored AS (
    SELECT
        headline_id, story_id, published_at, guid, title,
        regexp_full_match(title, '[A-Za-z]+( [A-Za-z]+)*')
        AND NOT regexp_matches(title, '(?i)\b(url|cannot)\b|^(rt|in brief|brief|update|wrapup|refile|corrected)\b')
        AND NOT is_filing(guid) AS is_plain
    FROM headlines
    WHERE
        published_at BETWEEN $first::TIMESTAMPTZ - $window::INTERVAL
        AND $last::TIMESTAMPTZ + $window::INTERVAL
),

nearby AS (
    SELECT
        headline_id, story_id, published_at, is_plain,
        CASE
            WHEN is_plain THEN title
            WHEN is_filing(guid) THEN ''
            WHEN NOT regexp_matches(title, ' [-–—|] ') THEN title
            WHEN regexp_matches(
                title,
                '^\s*(?i:form\s+)?(\d{1,3}-[A-Z]{1,2}\d?|S-\d{1,2}|SC 13[DG]|DEF 14A|424B\d|[345])(/A)?\s+[-–—|] '
            ) THEN ''
            ELSE regexp_replace(title, '\s[-–—|]\s(' || $publisher || ')$', '')
        END AS title
    FROM stored
),

addressless AS (
    SELECT
        * EXCLUDE (title),
        CASE WHEN is_plain THEN FALSE ELSE regexp_matches(title, '(…|\.\.\.)\s*$') END AS cut,
        CASE
            WHEN is_plain THEN lower(title)
            WHEN regexp_matches(title, '^\s*(?i:form\s+)(\d{1,3}-[A-Z]{1,2}\d?|S-\d{1,2}|SC 13[DG])(/A)?\s*:')
                THEN ''
            WHEN regexp_matches(title, '@|(?i:https?:|\burl\b|at_user)')
                THEN regexp_replace(lower(title), '\b(https?://\S+|at_user|url)\b|@\w+', ' ', 'g')
            ELSE lower(title)
        END AS title
    FROM nearby
),

numbered AS (
    SELECT
        * EXCLUDE (title),
        CASE
            WHEN is_plain THEN title
            WHEN regexp_matches(title, '\d')
                THEN
                    regexp_replace(
                        regexp_replace(
                            regexp_replace(
                                regexp_replace(
                                    regexp_replace(
                                        regexp_replace(
                                            regexp_replace(
                                                regexp_replace(
                                                    title, '(^|[\s(])[-−–]([$€£¥]?\d)', '\1minus\2', 'g'
                                                ), '(^|[\s(])\+([$€£¥]?\d)', '\1plus\2', 'g'
                                            ), '(\d)\s?(%|pct\b|per cent\b)', '\1 percent', 'g'
                                        ), '(us)?\$(\d)', 'usd\2', 'g'
                                    ), '€(\d)', 'eur\1', 'g'
                                ), '£(\d)', 'gbp\1', 'g'
                            ), '¥(\d)', 'jpy\1', 'g'
                        ), '(\d)\s?(?:b|bn|bln|billion)\b', '\1 billion', 'g'
                    )
            ELSE title
        END AS title
    FROM addressless
),

spelled AS (
    SELECT
        * EXCLUDE (title),
        CASE
            WHEN is_plain THEN title
            WHEN regexp_matches(title, '\d\s?(m|mn|mln)\b|\([a-z ]+:|\b\pL\.\pL\.|n[''’]t\b|\bcannot\b')
                THEN
                    regexp_replace(
                        regexp_replace(
                            regexp_replace(
                                regexp_replace(title, '(\d)\s?(m|mn|mln)\b', '\1 million', 'g'),
                                '\((nyse|nasdaq|amex|arca|cboe|otc\w*|tsx\w*|lse|asx)[ a-z]*:\s*[a-z0-9.-]+\)',
                                ' ', 'g'
                            ), '\b(\pL)\.(\pL)\.(?:(\pL)\.)?', '\1\2\3', 'g'
                        ), 'n[''’]t\b|not\b', ' not', 'g'
                    )
            ELSE title
        END AS title
    FROM numbered
),

plain AS (
    SELECT
        * EXCLUDE (title),
        CASE WHEN is_plain THEN title ELSE trim(
            regexp_replace(
                CASE
                    WHEN
                        regexp_matches(
                            title, '^\s*(rt|in brief|brief|update|wrapup|refile|corrected)\b'
                        )
                        THEN
                            regexp_replace(
                                title,
                                '^\s*((rt|in brief|brief|update( \d+)?|wrapup( \d+)?|refile|corrected)\b[\s:-]*)+',
                                ''
                            )
                    ELSE title
                END, '[^\pL\pN]+', ' ', 'g'
            )
        ) END AS words
    FROM spelled
)

SELECT
    headline_id, story_id, published_at,
    CASE WHEN cut AND regexp_matches(words, '^(\S+ ){4}') THEN words || ' …' ELSE words END AS words
FROM plain
ORDER BY published_at, headline_id;


-- name: story_links
-- grain: one row per two stories found to be one
-- Two headlines are of one story when they stand within $window of each other in the same words, or
-- in near-duplicate words (similar_pairs). Neighbours in time suffice: if the
-- first and the last of a row are close, so are all between.
WITH worded_as AS (
    SELECT words AS variant, words AS words FROM (SELECT DISTINCT words FROM worded)
    UNION ALL
    SELECT one || chr(31) || other AS variant, unnest([one, other]) AS words FROM similar_pairs
),

followed AS (
    SELECT
        worded.story_id, worded.published_at,
        lag(worded.story_id) OVER in_time AS previous_story,
        lag(worded.published_at) OVER in_time AS previous_at
    FROM worded
    INNER JOIN worded_as USING (words)
    WHERE words <> ''
    WINDOW in_time AS (
        PARTITION BY worded_as.variant ORDER BY worded.published_at, worded.headline_id
    )
)

SELECT DISTINCT
    story_id AS story, previous_story AS other
FROM followed
WHERE story_id <> previous_story AND published_at - previous_at <= $window::INTERVAL;


-- name: story_heads
-- grain: one row per story named in the links, earliest first, with its first and last instant
SELECT
    story_id AS story,
    min(published_at) AS first_at,
    max(published_at) AS last_at
FROM headlines
WHERE story_id IN (SELECT story FROM links UNION SELECT other FROM links)
GROUP BY story_id
ORDER BY first_at, story;


-- name: story_merge
-- writes: headlines.story_id, idempotent
-- grain: one updated row per headline of a story that turned out to belong to an earlier one
UPDATE headlines SET story_id = merged.root
FROM merged
WHERE headlines.story_id = merged.story;


-- name: story_parts
-- grain: one row per headline of a chain of stories too long to be one, that belongs to another part of it
-- chains: story and chain. A part is what lies within $span_days days counted from one fixed date, so that it
-- does not depend on the order in which headlines came.
WITH parted AS (
    SELECT
        headlines.headline_id, headlines.story_id,
        first_value(headlines.headline_id) OVER (
            PARTITION BY chains.chain, utc_day(headlines.published_at) // $span_days
            ORDER BY headlines.published_at, headlines.headline_id
        ) AS root
    FROM headlines
    INNER JOIN chains ON headlines.story_id = chains.story
)

SELECT headline_id, root
FROM parted
WHERE root <> story_id
ORDER BY headline_id;


-- name: story_part
-- writes: headlines.story_id, idempotent
-- grain: one updated row per headline that belongs to another part of a chain of stories
UPDATE headlines SET story_id = parts.root
FROM parts
WHERE headlines.headline_id = parts.headline_id;
