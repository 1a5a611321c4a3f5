-- grain: one row per example of $spec_id decided by $asof (NULL: every example)
-- An outcome shows once its window and the lag of its last bar were over; before, the row is `pending`.
SELECT
    example_id,
    ticker,
    session,
    decision_ts,
    max_input_available_at,
    label_start_ts,
    label_end_ts,
    if(is_over, label, NULL)              AS label,
    if(is_over, label_reason, 'pending')  AS label_reason,
    if(is_over, label_return, NULL)       AS label_return,
    previous_return,
    availability,
    headline_ids,
    story_ids,
    input
FROM (
    SELECT *, $asof IS NULL OR label_end_ts + $bar_lag::INTERVAL < $asof AS is_over
    FROM examples
    WHERE spec_id = $spec_id
        AND ($asof IS NULL OR decision_ts <= $asof)
        AND ($tickers IS NULL OR list_contains($tickers, ticker))
)
ORDER BY session, ticker;
