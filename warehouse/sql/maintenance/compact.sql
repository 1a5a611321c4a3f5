-- grain: one row per table whose small files were merged: files before and after
-- Snapshots and the change feed keep working: merged files remember which rows came when.
CALL ducklake_merge_adjacent_files('lake');
