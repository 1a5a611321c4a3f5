-- grain: one row per wanted example that has a label, in the order wanted
SELECT
    examples.spec_id,
    examples.example_id,
    examples.ticker,
    examples.session,
    examples.decision_ts,
    examples.label_end_ts,
    examples.label = 'up' AS label_up,
    examples.label_return,
    examples.previous_return,
    examples.availability,
    examples.input
FROM wanted_examples AS wanted
INNER JOIN examples
    ON examples.example_id = wanted.example_id
    AND examples.spec_id = $spec_id
WHERE examples.label IS NOT NULL
ORDER BY wanted.position;
