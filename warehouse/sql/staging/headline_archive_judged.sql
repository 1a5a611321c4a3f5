-- grain: one row per archive row, with the reason it cannot be used, if there is one
SELECT
    *,
    CASE
        WHEN coalesce(title, '') = '' THEN 'no title'
        WHEN length(title) > $longest_title THEN 'title longer than ' || $longest_title || ' characters'
        WHEN published_at IS NULL AND coalesce(published, '') = '' THEN 'undated'
        WHEN published_at IS NULL AND zoneless THEN 'date without a time zone'
        WHEN published_at IS NULL THEN 'date not understood'
        WHEN published_at > $now THEN 'published in the future'
        WHEN published_at < $earliest THEN 'published before ' || year($earliest::TIMESTAMPTZ)
    END AS reason
FROM archive_rows
ORDER BY position;
