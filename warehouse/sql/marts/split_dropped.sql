-- grain: one row per reason for which examples are in no split
SELECT fate AS reason, count(*) AS rows
FROM split_rows
WHERE fate NOT IN ('train', 'validation', 'test')
GROUP BY fate
ORDER BY fate;
