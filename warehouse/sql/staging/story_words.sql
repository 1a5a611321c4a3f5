-- grain: one row per stored headline within $window of the span from $first to $last
-- words: what the title says, for comparison: lower case, without punctuation, addresses and handles,
-- wire prefixes (UPDATE 1-, RT) and the publisher's name that aggregators append (" - The Times").
SELECT
    headline_id,
    story_id,
    published_at,
    array_to_string(
        regexp_extract_all(
            regexp_replace(
                regexp_replace(
                    lower(
                        regexp_replace(
                            title, '\s[-–—|]\s\p{Lu}[\pL\pN.&'']*(\s\p{Lu}[\pL\pN.&'']*){0,3}$', ''
                        )
                    ),
                    '\b(https?://\S+|at_user|url)\b|@\w+', ' ', 'g'
                ),
                '^\s*((rt|in brief|brief|update( \d+)?|wrapup( \d+)?|refile|corrected)\b[\s:-]*)+', ''
            ),
            '[$]?\pN+([.,]\pN+)*%?|[\pL\pN_]+'
        ), ' '
    ) AS words
FROM headlines
WHERE
    published_at BETWEEN $first::TIMESTAMPTZ - $window::INTERVAL
    AND $last::TIMESTAMPTZ + $window::INTERVAL
ORDER BY published_at, headline_id;
