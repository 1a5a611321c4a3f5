-- grain: one row per split
SELECT
    r.fate                                  AS split,
    count(*)                                AS rows,
    count(*) FILTER (e.label = 'up')        AS up,
    count(*) FILTER (e.label = 'down')      AS down,
    count(DISTINCT e.session)               AS sessions,
    count(DISTINCT e.ticker)                AS tickers,
    min(e.session)                          AS first_session,
    max(e.session)                          AS last_session
FROM split_rows AS r
JOIN examples AS e ON e.spec_id = $spec_id AND e.ticker = r.ticker AND e.session = r.session
WHERE r.fate IN ('train', 'validation', 'test')
GROUP BY r.fate
ORDER BY r.fate;
