-- grain: one row per snapshot that is forgotten
SELECT snapshot_id FROM ducklake_expire_snapshots('lake', versions => $snapshot_ids);
