-- The files that the catalog names, and whose catalog it is. Names are those below the storage.


-- name: catalog_identity
-- grain: one row; the id that DuckLake gave this catalog when it was made
SELECT CAST(schema_uuid AS VARCHAR) AS warehouse_id
FROM __ducklake_metadata_lake.ducklake_schema
WHERE schema_id = 0;


-- name: files_named
-- grain: one row per data file and file of deleted rows that any kept snapshot needs
SELECT name, bytes FROM catalog_files ORDER BY name;


-- name: files_replaced
-- grain: one row per file that no snapshot needs any more and that is still there, for readers at work
SELECT path AS name
FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion
ORDER BY name;


-- name: kind_table
-- writes: newsvane_kind (kind), in the catalog's own database, idempotent
-- grain: at most one row: whose data is kept, `sandbox` or `live`; none until somebody writes
CREATE TABLE IF NOT EXISTS __ducklake_metadata_lake.newsvane_kind (
    kind VARCHAR NOT NULL
);


-- name: kind_kept
-- grain: at most one row; the kind of the warehouse
SELECT kind FROM __ducklake_metadata_lake.newsvane_kind;


-- name: kind_record
-- writes: newsvane_kind (kind), in the catalog's own database
-- grain: no rows
INSERT INTO __ducklake_metadata_lake.newsvane_kind VALUES ($kind);


-- name: hashes_table
-- writes: newsvane_file_hashes (name), in the catalog's own database, idempotent
-- grain: one row per file of the storage that was hashed: its name below the storage, sha256 in hex
CREATE TABLE IF NOT EXISTS __ducklake_metadata_lake.newsvane_file_hashes (
    name   VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL
);


-- name: hashes_missing
-- grain: one row per file that a snapshot from $since on brought and that has no hash yet
SELECT name
FROM catalog_files
ANTI JOIN __ducklake_metadata_lake.newsvane_file_hashes USING (name)
WHERE begin_snapshot >= $since
ORDER BY name;


-- name: hashes_record
-- writes: newsvane_file_hashes (name), in the catalog's own database
-- grain: no rows
INSERT INTO __ducklake_metadata_lake.newsvane_file_hashes BY NAME
FROM file_hashes;


-- name: hashes_forget
-- writes: newsvane_file_hashes (name), in the catalog's own database, idempotent
-- grain: no rows; the files that are gone for good lose their hashes
DELETE FROM __ducklake_metadata_lake.newsvane_file_hashes
WHERE name NOT IN (SELECT name FROM catalog_files);


-- name: files_hashed
-- grain: one row per file that any kept snapshot needs: bytes as committed, sha256 in hex, NULL if none
SELECT name, max(bytes) AS bytes, max(sha256) AS sha256
FROM catalog_files
LEFT JOIN __ducklake_metadata_lake.newsvane_file_hashes USING (name)
GROUP BY name
ORDER BY name;


-- name: files_blob_hash
-- grain: one row: sha256 in hex, of an object in a bucket
SELECT sha256(content) AS sha256 FROM read_blob($file);


-- name: payloads_known
-- grain: one row: how many payloads the warehouse has rows of, and how many of the given ones
SELECT
    (SELECT count(*) FROM payloads)                                     AS payloads,
    (SELECT count(*) FROM landed SEMI JOIN payloads USING (payload_id)) AS known;


-- name: catalog_taken
-- grain: one row; taken: whether the attached database holds a DuckLake's catalog
SELECT count(*) > 0 AS taken
FROM duckdb_tables()
WHERE database_name = 'catalog' AND table_name = 'ducklake_metadata';


-- name: catalog_in_use
-- grain: one row; in_use: whether the attached database holds any table
SELECT count(*) > 0 AS in_use
FROM duckdb_tables()
WHERE database_name = 'catalog';


-- name: catalog_restored_identity
-- grain: one row; the id of the attached catalog, as catalog_identity gives it
SELECT CAST(schema_uuid AS VARCHAR) AS warehouse_id
FROM catalog.ducklake_schema
WHERE schema_id = 0;


-- name: catalog_moved
-- writes: ducklake_metadata (key), idempotent
-- grain: no rows; tells a restored catalog where its data files are now
UPDATE catalog.ducklake_metadata SET value = $storage WHERE key = 'data_path';
