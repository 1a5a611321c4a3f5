-- grain: one row per broken rule
-- A row may know only what was available strictly before its decision, and its outcome must lie
-- after it. `tradable` rules also begin after it; the others begin at the close before, end after.
SELECT rule, count(*) AS violations, min(example_id) AS first_example
FROM (
    SELECT
        example_id,
        unnest([
            CASE WHEN max_input_available_at >= decision_ts
                 THEN 'max_input_available_at < decision_ts' END,
            CASE WHEN max_input_available_at IS NULL
                 THEN 'max_input_available_at is known' END,
            CASE WHEN $tradable AND decision_ts > label_start_ts
                 THEN 'decision_ts <= label_start_ts' END,
            CASE WHEN decision_ts >= label_end_ts THEN 'decision_ts < label_end_ts' END,
            CASE WHEN label_start_ts >= label_end_ts THEN 'label_start_ts < label_end_ts' END
        ]) AS rule
    FROM fresh_examples
)
WHERE rule IS NOT NULL
GROUP BY rule
ORDER BY rule;
