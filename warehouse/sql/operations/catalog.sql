-- The catalog of a restored warehouse.


-- name: catalog_taken
-- grain: one row; taken: whether the attached database holds a DuckLake's catalog
SELECT count(*) > 0 AS taken
FROM duckdb_tables()
WHERE database_name = 'catalog' AND table_name = 'ducklake_metadata';


-- name: catalog_moved
-- writes: the catalog's data path
-- grain: no rows; tells a restored catalog where its data files are now
UPDATE catalog.ducklake_metadata SET value = $storage WHERE key = 'data_path';
