-- grain: one row per labelled example of one spec within a range of sessions
SELECT example_id
FROM examples
WHERE spec_id = $spec_id AND session BETWEEN $first AND $last AND label IS NOT NULL
ORDER BY session, ticker, example_id;
