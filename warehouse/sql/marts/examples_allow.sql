-- grain: one row per example over its token budget
DELETE FROM allowances
WHERE (ticker, position) IN (SELECT (ticker, position) FROM over_budget);

INSERT INTO allowances
SELECT ticker, position, $allowed
FROM over_budget;
