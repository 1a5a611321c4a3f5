-- grain: one row per pair of stories found to be one
-- Headlines with the same words within $window of each other tell one story. Compared are the words
-- in their order, without case, punctuation, addresses, wire prefixes and the publisher's name.
WITH bounds AS (
    SELECT
        min(published_at) - $window::INTERVAL AS first,
        max(published_at) + $window::INTERVAL AS last
    FROM changed
),

worded AS (
    SELECT
        story_id,
        headline_id,
        published_at,
        trim(regexp_replace(
            regexp_replace(
                regexp_replace(lower(title), '\b(https?://\S+|url|at_user|@\w+)', ' ', 'g'),
                '^\s*(rt|update \d+|refile|brief|wrapup \d+|corrected)\b[\s:-]*', ''
            ),
            '[^\w$%.]+', ' ', 'g'
        )) AS words
    FROM headlines, bounds
    WHERE published_at BETWEEN bounds.first AND bounds.last
),

followed AS (
    SELECT
        story_id,
        published_at,
        lag(story_id) OVER same_words AS previous_story,
        lag(published_at) OVER same_words AS previous_at
    FROM worded
    WINDOW same_words AS (PARTITION BY words ORDER BY published_at, headline_id)
)

SELECT DISTINCT
    story_id AS story,
    previous_story AS other
FROM followed
WHERE story_id <> previous_story AND published_at - previous_at <= $window::INTERVAL;
