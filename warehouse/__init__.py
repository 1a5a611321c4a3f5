"""The warehouse: the only package that knows SQL, DuckDB and Parquet."""
