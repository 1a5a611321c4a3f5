-- grain: one row per archive row, in order
-- instant: the date string names a zone. wall: it does not, and the declared zone must supply it.
-- $format: a strptime format, or NULL for ISO 8601 and RFC 822. $format_has_zone: it contains %z.
WITH read AS (
    SELECT
        position,
        published,
        CASE
            WHEN $format IS NOT NULL THEN try_strptime(published, $format)::TIMESTAMPTZ
        END AS as_declared
    FROM dated
)

SELECT
    CASE
        WHEN $format IS NOT NULL THEN CASE WHEN $format_has_zone THEN as_declared END
        WHEN regexp_full_match(
            published,
            '\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-]\d\d(:?\d\d)?)'
        ) THEN try_cast(published AS TIMESTAMPTZ)
        WHEN regexp_full_match(
            published,
            '[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d ([+-]\d{4}|GMT|UTC)'
        ) THEN try_strptime(
            regexp_replace(published, '(GMT|UTC)$', '+0000'), '%a, %d %b %Y %H:%M:%S %z'
        )
    END AS instant,
    CASE
        WHEN $format IS NOT NULL THEN
            CASE WHEN NOT $format_has_zone THEN as_declared AT TIME ZONE 'UTC' END
        WHEN regexp_full_match(published, '\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?')
            THEN try_cast(published AS TIMESTAMP)
    END AS wall
FROM read
ORDER BY position;
