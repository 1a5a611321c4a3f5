-- grain: one row per deleted data file that no snapshot has needed since before $older_than
SELECT path FROM ducklake_cleanup_old_files('lake', older_than => $older_than);
