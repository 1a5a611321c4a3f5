-- grain: one row per example over its token budget
DELETE FROM allowances
WHERE (ticker, session) IN (SELECT (ticker, session) FROM over_budget);

INSERT INTO allowances
SELECT ticker, session, $allowed
FROM over_budget;
