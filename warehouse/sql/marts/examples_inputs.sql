-- grain: one row per example, as rendered so far
SELECT ticker, position, input
FROM rendered
ORDER BY ticker, position;
