-- grain: one row per deleted data file that no commit ever named, written before $older_than
-- Younger ones may belong to a transaction that is about to commit.
SELECT path FROM ducklake_delete_orphaned_files('lake', older_than => $older_than);
