-- grain: one row per example that the whole warehouse gives now
SELECT * EXCLUDE (input) FROM full_examples ORDER BY session, ticker;
