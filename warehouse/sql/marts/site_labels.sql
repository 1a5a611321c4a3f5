-- grain: one row per example spec and month: examples, those labelled, and how many went up
SELECT
    spec_id,
    CAST(date_trunc('month', session) AS DATE) AS month,
    count(*) AS examples,
    count(label) AS labelled,
    count(*) FILTER (label = 'up') AS up,
    round(count(*) FILTER (label = 'up') / nullif(count(label), 0), 6) AS up_share
FROM examples
GROUP BY spec_id, month
ORDER BY spec_id, month;
