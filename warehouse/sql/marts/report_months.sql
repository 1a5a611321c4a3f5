-- grain: one row per calendar month (UTC) between the first and the last record
WITH counted AS (
    SELECT date_trunc('month', session) AS month, count(*) AS bars, 0 AS headlines
    FROM bars
    GROUP BY ALL
    UNION ALL
    SELECT date_trunc('month', published_at AT TIME ZONE 'UTC'), 0, count(*)
    FROM headlines
    GROUP BY ALL
),
span AS (
    SELECT unnest(generate_series(min(month), max(month), INTERVAL 1 MONTH)) AS month
    FROM counted
)
SELECT
    CAST(month AS DATE) AS month,
    CAST(coalesce(sum(bars), 0) AS BIGINT) AS bars,
    CAST(coalesce(sum(headlines), 0) AS BIGINT) AS headlines
FROM span
LEFT JOIN counted USING (month)
GROUP BY month
ORDER BY month;
