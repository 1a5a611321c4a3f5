-- grain: one row per changed example (the old one goes, the fresh one comes)
DELETE FROM examples
WHERE spec_id = $spec_id
    AND session >= $from_session AND session < $until_session
    AND (ticker, session) IN (SELECT (ticker, session) FROM example_changes);

INSERT INTO examples BY NAME
SELECT fresh.*
FROM derived AS fresh
JOIN example_changes AS changed USING (ticker, session)
ORDER BY fresh.session, fresh.ticker;
