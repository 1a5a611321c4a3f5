-- grain: one row per session with a labelled example of one spec whose outcome is final at $now
SELECT DISTINCT session
FROM examples
WHERE spec_id = $spec_id
    AND label IS NOT NULL
    AND label_end_ts <= $now
ORDER BY session;
