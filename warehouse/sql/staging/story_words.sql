-- grain: one row per stored headline within $window of the span from $first to $last
-- words: what the title says, for comparison: lower case, without punctuation, addresses and handles,
-- wire prefixes (UPDATE 1-, RT) and the publisher's name that aggregators append (" - The Times").
-- Patterns are tried only on titles that can contain them: they cost more than all the rest.
WITH nearby AS (
    SELECT
        headline_id,
        story_id,
        published_at,
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
    headline_id,
    story_id,
    published_at,
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
