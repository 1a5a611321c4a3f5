-- grain: one row; taken: whether the attached database holds a DuckLake's catalog
SELECT count(*) > 0 AS taken
FROM duckdb_tables()
WHERE database_name = 'catalog' AND table_name = 'ducklake_metadata';
