-- grain: one row
SELECT min(session) AS changed_from
FROM lake.table_changes('examples', $first_snapshot, $last_snapshot)
WHERE spec_id = $spec_id;
