-- Stories: headlines of the same news, linked and merged.


-- name: story_span
-- grain: one row with the number of stored headlines in a span of time
SELECT count(*) AS headlines
FROM headlines
WHERE published_at BETWEEN $first::TIMESTAMPTZ AND $last::TIMESTAMPTZ;


-- name: story_words
-- grain: one row per stored headline within $window of the span from $first to $last
-- words: what the title says, for comparison: lower case, without punctuation, addresses and handles,
-- wire prefixes (UPDATE 1-, RT) and the publisher's name that aggregators append (" - The Times").
-- Patterns are tried only on titles that can contain them: they cost more than all the rest.
WITH nearby AS (
    SELECT
        headline_id, story_id, published_at,
        CASE
            WHEN regexp_matches(title, ' [-–—|] ')
                THEN
                    regexp_replace(
                        title, '\s[-–—|]\s\p{Lu}[\pL\pN.&'']*(\s\p{Lu}[\pL\pN.&'']*){0,3}$', ''
                    )
            ELSE title
        END AS title
    FROM headlines
    WHERE
        published_at BETWEEN $first::TIMESTAMPTZ - $window::INTERVAL
        AND $last::TIMESTAMPTZ + $window::INTERVAL
),

addressless AS (
    SELECT
        * EXCLUDE (title),
        CASE
            WHEN regexp_matches(title, '@|(?i:https?:|\burl\b|at_user)')
                THEN regexp_replace(lower(title), '\b(https?://\S+|at_user|url)\b|@\w+', ' ', 'g')
            ELSE lower(title)
        END AS title
    FROM nearby
)

SELECT
    headline_id, story_id, published_at,
    trim(
        regexp_replace(
            CASE
                WHEN regexp_matches(title, '^\s*(rt|in brief|brief|update|wrapup|refile|corrected)\b')
                    THEN
                        regexp_replace(
                            title,
                            '^\s*((rt|in brief|brief|update( \d+)?|wrapup( \d+)?|refile|corrected)\b[\s:-]*)+',
                            ''
                        )
                ELSE title
            END, '[^\pL\pN]+', ' ', 'g'
        )
    ) AS words
FROM addressless
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
-- grain: one row per story named in the links, with the instant of its earliest headline
SELECT headline_id AS story, published_at
FROM headlines
WHERE headline_id IN (SELECT story FROM links UNION SELECT other FROM links)
ORDER BY published_at, headline_id;


-- name: story_merge
-- writes: headlines.story_id, idempotent
-- grain: one updated row per headline of a story that turned out to belong to an earlier one
UPDATE headlines SET story_id = merged.root
FROM merged
WHERE headlines.story_id = merged.story;
