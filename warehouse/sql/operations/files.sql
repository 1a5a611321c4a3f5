-- The files that the catalog names, and whose catalog it is. Names are those below the storage.


-- name: catalog_identity
-- grain: one row; the id that DuckLake gave this catalog when it was made
SELECT CAST(schema_uuid AS VARCHAR) AS warehouse_id
FROM __ducklake_metadata_lake.ducklake_schema
WHERE schema_id = 0;


-- name: catalog_files
-- grain: one row per data file and file of deleted rows that any kept snapshot needs
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
    SELECT table_id, path, path_is_relative, file_size_bytes
    FROM __ducklake_metadata_lake.ducklake_data_file
    UNION ALL
    SELECT table_id, path, path_is_relative, file_size_bytes
    FROM __ducklake_metadata_lake.ducklake_delete_file
)
SELECT
    CASE WHEN CAST(n.path_is_relative AS BOOLEAN) THEN f.folder ELSE '' END || n.path AS name,
    max(n.file_size_bytes)                                                           AS bytes
FROM named AS n
INNER JOIN folders AS f USING (table_id)
GROUP BY ALL
ORDER BY name;


-- name: catalog_files_replaced
-- grain: one row per file that no snapshot needs any more and that is still there, for readers at work
SELECT path AS name
FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion
ORDER BY name;


-- name: payloads_known
-- grain: one row per given payload that the warehouse has a row of
SELECT payload_id FROM landed SEMI JOIN payloads USING (payload_id);


-- name: catalog_taken
-- grain: one row; taken: whether the attached database holds a DuckLake's catalog
SELECT count(*) > 0 AS taken
FROM duckdb_tables()
WHERE database_name = 'catalog' AND table_name = 'ducklake_metadata';


-- name: catalog_moved
-- writes: ducklake_metadata (key), idempotent
-- grain: no rows; tells a restored catalog where its data files are now
UPDATE catalog.ducklake_metadata SET value = $storage WHERE key = 'data_path';
