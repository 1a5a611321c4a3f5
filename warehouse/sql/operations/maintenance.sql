-- Maintenance: compaction, expiry, deletion.


-- name: inlined_flush
-- writes: data files, idempotent
-- grain: one row, if small commits had left rows of the table in the catalog: rows_flushed
-- Time travel and the change feed keep working: the rows remember which snapshots they are of.
FROM ducklake_flush_inlined_data('lake', table_name => $table_name);


-- name: compact
-- writes: data files, idempotent
-- grain: one row per table whose small files were merged: files before and after
-- Snapshots and the change feed keep working: merged files remember which rows came when.
CALL ducklake_merge_adjacent_files('lake');


-- name: snapshots_unneeded
-- grain: one row per snapshot that may be forgotten
-- Kept: the last one, those that were the last one after $older_than (whoever reads or builds may have
-- begun with one of them), and those that data sets were built from (and with them every model,
-- evaluation and prediction, which name a data set). Examples and data sets are built anew where the
-- snapshots since the build before are not all kept, so a build that is never repeated keeps none.
SELECT snapshot_id
FROM (
    SELECT snapshot_id, lead(snapshot_time) OVER (ORDER BY snapshot_id) AS replaced_at
    FROM lake.snapshots()
)
WHERE replaced_at < $older_than
    AND snapshot_id NOT IN (SELECT snapshot_id FROM datasets)
ORDER BY snapshot_id;


-- name: snapshots_expire
-- writes: snapshots, idempotent
-- grain: one row per snapshot that is forgotten
SELECT snapshot_id FROM ducklake_expire_snapshots('lake', versions => $snapshot_ids);


-- name: files_unneeded
-- writes: data files, idempotent
-- grain: one row per deleted data file that no snapshot has needed since before $older_than
SELECT path FROM ducklake_cleanup_old_files('lake', older_than => $older_than);


-- name: files_orphaned
-- writes: data files, idempotent
-- grain: one row per deleted data file that no commit ever named, written before $older_than
-- Younger ones may belong to a transaction that is about to commit.
SELECT path FROM ducklake_delete_orphaned_files('lake', older_than => $older_than);


-- name: files_unknown
-- writes: nothing, but only a writer may call it
-- grain: one row per data file that no commit ever named, written before $older_than; none is deleted
SELECT path FROM ducklake_delete_orphaned_files('lake', dry_run => TRUE, older_than => $older_than);


-- name: payloads_referred
-- grain: one row per payload that any row of the warehouse refers to
SELECT payload_id FROM payloads
UNION SELECT payload_id FROM partitions
UNION SELECT payload_id FROM quarantine
UNION SELECT payload_id FROM bars
UNION SELECT payload_id FROM bar_revisions
UNION SELECT payload_id FROM bar_readings
UNION SELECT payload_id FROM actions
UNION SELECT payload_id FROM action_revisions
UNION SELECT payload_id FROM headlines
UNION SELECT payload_id FROM headline_revisions
UNION SELECT payload_id FROM features;
