-- grain: one row per two stories found to be one
-- Two headlines tell one story when they stand within $window of each other in the same wording, or
-- in two wordings that say the same (similar_pairs). Neighbours in time suffice: if the
-- first and the last of a row are close, so are all between.
WITH wordings AS (
    SELECT words AS wording, words AS words FROM (SELECT DISTINCT words FROM worded)
    UNION ALL
    SELECT one || chr(31) || other AS wording, unnest([one, other]) AS words FROM similar_pairs
),

followed AS (
    SELECT
        worded.story_id,
        worded.published_at,
        lag(worded.story_id) OVER in_time AS previous_story,
        lag(worded.published_at) OVER in_time AS previous_at
    FROM worded
    INNER JOIN wordings USING (words)
    WHERE words <> ''
    WINDOW in_time AS (
        PARTITION BY wordings.wording ORDER BY worded.published_at, worded.headline_id
    )
)

SELECT DISTINCT
    story_id AS story,
    previous_story AS other
FROM followed
WHERE story_id <> previous_story AND published_at - previous_at <= $window::INTERVAL;
