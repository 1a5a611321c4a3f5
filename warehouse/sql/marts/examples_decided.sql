-- grain: one row per example of one spec, in the order of the decisions
SELECT ticker, session, decision_ts, input
FROM examples
WHERE spec_id = $spec_id
ORDER BY decision_ts, ticker;
