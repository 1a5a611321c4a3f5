-- grain: one row per seal, oldest first
SELECT *
FROM seals
ORDER BY seal_no;
