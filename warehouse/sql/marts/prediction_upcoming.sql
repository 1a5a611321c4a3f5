-- grain: one row per ticker with an example in the next session that has not started at $now
SELECT
    spec_id,
    example_id,
    ticker,
    session,
    decision_ts,
    label_start_ts,
    previous_return,
    headline_ids,
    input
FROM examples
WHERE spec_id = $spec_id
    AND label_start_ts > $now
    AND max_input_available_at <= $now
QUALIFY session = min(session) OVER ()
ORDER BY ticker, example_id;
