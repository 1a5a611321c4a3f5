-- grain: one row per data file and file of deleted rows that any kept snapshot needs
-- name: below the storage. begin_snapshot: the first that shows rows of it.
CREATE OR REPLACE TEMP VIEW catalog_files AS
WITH folders AS (
    SELECT
        t.table_id,
        any_value(
            CASE WHEN CAST(t.path_is_relative AS BOOLEAN) THEN s.path ELSE '' END || t.path
        ) AS folder
    FROM __ducklake_metadata_lake.ducklake_table AS t
    INNER JOIN __ducklake_metadata_lake.ducklake_schema AS s USING (schema_id)
    GROUP BY t.table_id
), named AS (
    SELECT table_id, path, path_is_relative, file_size_bytes, begin_snapshot
    FROM __ducklake_metadata_lake.ducklake_data_file
    UNION ALL
    SELECT table_id, path, path_is_relative, file_size_bytes, begin_snapshot
    FROM __ducklake_metadata_lake.ducklake_delete_file
)
SELECT
    CASE WHEN CAST(n.path_is_relative AS BOOLEAN) THEN f.folder ELSE '' END || n.path AS name,
    max(n.file_size_bytes)                                                           AS bytes,
    min(n.begin_snapshot)                                                            AS begin_snapshot
FROM named AS n
INNER JOIN folders AS f USING (table_id)
GROUP BY ALL;
