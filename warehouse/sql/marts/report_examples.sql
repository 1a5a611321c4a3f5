-- grain: one row per shown example of $spec_id: up to $rows of them, spread over labels and time
-- The order by a hash of the id picks the same rows whenever the content is the same.
WITH ranked AS (
    SELECT
        example_id, ticker, session, decision_ts, max_input_available_at, label_start_ts,
        label_end_ts, label, label_reason, label_return, availability, input,
        len(headline_ids) AS headlines,
        row_number() OVER (
            PARTITION BY coalesce(label, label_reason) ORDER BY sha256(example_id)
        ) AS place
    FROM examples
    WHERE spec_id = $spec_id
)
SELECT * EXCLUDE (place)
FROM ranked
ORDER BY place, label DESC NULLS LAST, label_reason
LIMIT $rows;
