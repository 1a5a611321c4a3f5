"""Queries over a database or file of the user's own, on an engine that reaches nothing else."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet

from warehouse.lake.connection import quoted, scanning
from warehouse.lake.faults import first_line
from warehouse.lake.spec import LakeError

FILE = "file"
"""What a query calls the table of a file that is no database."""
_BATCH_ROWS = 50_000
_SQLITE, _DUCKDB = b"SQLite format 3\x00", b"DUCK"
_READERS = {".parquet": "read_parquet", ".json": "read_json", ".jsonl": "read_json"}


def query_file(path: Path, query: str, target: Path) -> None:
    """Write the rows of one SELECT over `path` to `target`, as Parquet; `path` is only read.

    `path` is a DuckDB or SQLite database, whose tables the query names as they are, or a CSV, JSON
    or Parquet file, which it names `file`. No other file or address can be reached, and no
    extension loaded. Instants are in UTC. Raises LakeError for what is not one SELECT, for a query
    that fails and for a database that cannot be read.
    """
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise LakeError(f"The query could not be parsed: {first_line(error)}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise LakeError("Expected exactly one reading query (SELECT …); nothing was run.")
    with path.open("rb") as stream:
        start = stream.read(16)
    kind = "sqlite" if start == _SQLITE else "duckdb" if start[8:12] == _DUCKDB else "table"
    with scanning("sqlite_scanner" if kind == "sqlite" else None) as connection:
        try:
            _bring_in(connection, path, kind)
            _confine(connection, path)
            answer = connection.execute(statements[0]).to_arrow_reader(_BATCH_ROWS)
            with pa.parquet.ParquetWriter(target, answer.schema) as writer:
                for batch in answer:
                    writer.write_batch(batch)
        except (duckdb.Error, pa.ArrowException) as error:
            raise LakeError(f"The query failed: {first_line(error)}") from error


def _bring_in(connection: duckdb.DuckDBPyConnection, path: Path, kind: str) -> None:
    place = quoted(str(path.absolute()))
    if kind == "table":
        reader = _READERS.get(Path(path.name.removesuffix(".gz")).suffix, "read_csv")
        connection.execute(f"CREATE VIEW {FILE} AS FROM {reader}('{place}')")
        return
    options = "TYPE sqlite, READ_ONLY" if kind == "sqlite" else "READ_ONLY"
    connection.execute(f"ATTACH '{place}' AS own ({options})")
    connection.execute("USE own")


def _confine(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Keep the connection to that file, and to what its database keeps beside it, for good."""
    names = [f"{path.absolute()}{beside}" for beside in ("", "-wal", "-journal", "-shm", ".wal")]
    listed = ", ".join(f"'{quoted(name)}'" for name in names)
    for setting in (
        f"allowed_paths = [{listed}]",
        "enable_external_access = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "python_enable_replacements = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")
