-- grain: one row per validation suite
WITH validated AS (
    SELECT suite, batch, checked_at, count(*) AS expectations, bool_and(success) AS passed
    FROM checks
    GROUP BY suite, batch, checked_at
)
SELECT
    suite,
    count(*) AS runs,
    count(*) FILTER (NOT passed) AS refused,
    max(expectations) AS expectations,
    max(checked_at) AS last_checked_at
FROM validated
GROUP BY suite
ORDER BY suite;
