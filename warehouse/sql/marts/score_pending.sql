-- grain: one row per predictor and reason why forward predictions have no outcome yet at $now
SELECT
    predictions.predictor,
    CASE
        WHEN examples.label_end_ts IS NULL THEN 'example no longer stored'
        WHEN examples.label_end_ts > $now THEN 'session not finished'
        ELSE examples.label_reason
    END AS reason,
    count(*) AS n
FROM predictions
LEFT JOIN examples
    ON examples.spec_id = predictions.spec_id
    AND examples.example_id = predictions.example_id
WHERE predictions.kind = 'forward'
    AND predictions.spec_id = $spec_id
    AND (examples.label IS NULL OR examples.label_end_ts > $now)
GROUP BY ALL
ORDER BY ALL;
