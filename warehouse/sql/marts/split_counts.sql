-- grain: one row per split
SELECT
    fate                             AS split,
    count(*)                         AS rows,
    count(*) FILTER (label = 'up')   AS up,
    count(*) FILTER (label = 'down') AS down,
    count(DISTINCT session)          AS sessions,
    count(DISTINCT ticker)           AS tickers,
    min(session)                     AS first_session,
    max(session)                     AS last_session
FROM split_rows
WHERE fate IN ('train', 'validation', 'test')
GROUP BY fate
ORDER BY fate;
