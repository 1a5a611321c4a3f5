"""Queries that people write: what they may call, and a connection that reaches nothing else.

Two guards, each sufficient for most of what must not happen. The parsed query may call only what
reads the warehouse: a SELECT can delete data files (DuckLake's upkeep), write logs, pass a query
to the catalog's server. And the engine is locked: its own files are the lake's, whatever a name,
a view or a macro leads to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from warehouse.lake.connection import quoted
from warehouse.lake.faults import first_line
from warehouse.lake.spec import LakeError, LakeSpec, is_bucket

_ROWS = frozenset({
    "unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree",
    "histogram", "histogram_values", "icu_calendar_names", "pg_timezone_names",
})  # fmt: skip
_CATALOG = frozenset({
    "duckdb_columns", "duckdb_constraints", "duckdb_databases", "duckdb_dependencies",
    "duckdb_extensions", "duckdb_functions", "duckdb_indexes", "duckdb_keywords", "duckdb_memory",
    "duckdb_schemas", "duckdb_secrets", "duckdb_settings", "duckdb_tables", "duckdb_types",
    "duckdb_views", "pragma_collations", "pragma_database_size", "pragma_platform", "pragma_show",
    "pragma_table_info", "pragma_version",
})  # fmt: skip
_LAKE = frozenset({
    "snapshots", "current_snapshot", "last_committed_snapshot", "table_info", "table_changes",
    "table_insertions", "table_deletions", "list_files", "options", "settings",
})  # fmt: skip
_TABLE_FUNCTIONS = _ROWS | _CATALOG | _LAKE | {f"ducklake_{name}" for name in _LAKE}
_FILE_FUNCTIONS = frozenset({
    "glob", "parquet_bloom_probe", "parquet_file_metadata", "parquet_full_metadata",
    "parquet_kv_metadata", "parquet_metadata", "parquet_scan", "parquet_schema", "read_blob",
    "read_csv", "read_csv_auto", "read_json", "read_json_auto", "read_json_objects",
    "read_json_objects_auto", "read_ndjson", "read_ndjson_auto", "read_ndjson_objects",
    "read_parquet", "read_text", "sniff_csv",
})  # fmt: skip
_PLACES = frozenset(
    {"", "lake", "main", "temp", "memory", "system", "information_schema", "pg_catalog"}
)
"""What may qualify a relation or a function. Not there: the database that DuckLake keeps its
catalog in, through which a server's own tables, files and settings could be read."""
_FILE_LIKE = re.compile(r"[./\\:*]")
_FORBIDDEN_SCALARS = frozenset({"getenv", "getvariable"})
_HARMLESS_EFFECTS = frozenset({
    "current_connection_id", "current_query", "current_query_id", "current_transaction_id",
    "error", "gen_random_uuid", "random", "setseed", "stats", "uuid", "uuidv4", "uuidv7",
})  # fmt: skip


class QueryError(LakeError):
    """A query was refused or failed; the message says what it asked for. Nothing was changed."""


def require_reading(query: str, *, files: bool = False) -> duckdb.Statement:
    """The one SELECT that `query` is. Raises QueryError unless all it calls reads the warehouse.

    With `files`, functions that read files may be called too; which files, the connection knows.
    """
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(f"The query could not be parsed: {first_line(error)}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise QueryError("Expected exactly one reading query (SELECT …); nothing was run.")
    tables = _TABLE_FUNCTIONS | _FILE_FUNCTIONS if files else _TABLE_FUNCTIONS
    for kind, place, name in _called(query):
        if not all(part in _PLACES for part in place):
            full = ".".join(part for part in (*place, name) if part)
            raise QueryError(
                f"The query names {full}, which is not in the warehouse; expected relations such "
                "as bars or lake.bars (`show tables` lists them). Nothing was run."
            )
        if kind == "relation" and not files and _FILE_LIKE.search(name):
            # Not left to the engine: to it a bucket's `lake/../other` lies below `lake/`.
            raise QueryError(
                f"The query names the file {name}; expected relations of the warehouse (`show "
                "tables` lists them). Nothing was read; name files it may read with --files."
            )
        if kind == "rows" and name not in tables:
            remedy = (
                " Name the file or folder it may read with --files."
                if name in _FILE_FUNCTIONS
                else ""
            )
            raise QueryError(
                f"The query calls {name}, which may reach or change something besides the "
                "warehouse; expected only relations of the warehouse and functions that read "
                f"them. Nothing was run.{remedy}"
            )
        if kind == "value" and name in _effects():
            raise QueryError(
                f"The query calls {name}, which does more than compute a value; expected only "
                "functions without effects. Nothing was run."
            )
    return statements[0]


def lock(connection: duckdb.DuckDBPyConnection, spec: LakeSpec, files: Sequence[Path] = ()) -> None:
    """Keep a connection to the lake's own files, and to `files` (files or folders), for good.

    Extensions, network addresses, other files and Python's variables are out of its reach then.
    """
    folders = [spec.storage] if is_bucket(spec.storage) else _spellings(Path(spec.storage))
    folders += [name for path in files if path.is_dir() for name in _spellings(path)]
    paths = [name for path in files for name in _spellings(path)]
    if spec.catalog_kind == "sqlite":
        paths += _spellings(Path(spec.catalog_location))
    folders = [f"{name.rstrip('/')}/" for name in folders]
    for setting in (
        f"allowed_directories = [{_listed(folders)}]",
        f"allowed_paths = [{_listed(paths)}]",
        "enable_external_access = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "python_enable_replacements = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


def _spellings(path: Path) -> list[str]:
    """A path as it is named and where it leads: the engine follows no link, but compares names."""
    return [str(path.absolute()), str(path.resolve())]


def failed(error: duckdb.Error) -> QueryError:
    """What to raise for a query that the engine did not answer."""
    if isinstance(error, duckdb.PermissionException):
        return QueryError(
            f"The query reaches beyond the warehouse: {first_line(error)}. Nothing was read there; "
            "name a file or folder that it may read with --files."
        )
    return QueryError(f"The query failed: {first_line(error)}")


def _called(query: str) -> Iterator[tuple[str, tuple[str, str], str]]:
    """What a query names: (relation | rows | value, its catalog and schema, its name).

    `rows` is a function that stands for a table, `value` any other. All in lower case.
    """
    try:
        tree = json.loads(_parsed(query))
        if tree["error"]:
            raise QueryError(
                "Expected a query that begins with SELECT, FROM, WITH, VALUES, DESCRIBE or SHOW; "
                f"got one that cannot be checked ({tree['error_message']}). Nothing was run."
            )
        nodes: list[Any] = [tree["statements"]]
        tables: set[int] = set()
        while nodes:
            node = nodes.pop()
            if isinstance(node, dict):
                if node.get("type") == "TABLE_FUNCTION":
                    tables.add(id(node["function"]))
                yield from _named(node, rows=id(node) in tables)
                nodes.extend(node.values())
            elif isinstance(node, list):
                nodes.extend(node)
    except RecursionError as error:
        raise QueryError(
            "The query is nested too deeply to be checked; expected fewer parentheses within "
            "parentheses. Write it with WITH. Nothing was run."
        ) from error


def _named(node: dict[str, Any], *, rows: bool) -> Iterator[tuple[str, tuple[str, str], str]]:
    if node.get("type") == "BASE_TABLE":
        kind, keys = "relation", ("catalog_name", "schema_name", "table_name")
    elif "function_name" in node:
        kind, keys = "rows" if rows else "value", ("catalog", "schema", "function_name")
    else:
        return
    catalog, schema, name = (str(node.get(key, "")).lower() for key in keys)
    yield kind, (catalog, schema), name


def _parsed(query: str) -> str:
    # A bound parameter would have DuckDB import pandas, which takes longer than all else here.
    row = _engine().execute(f"SELECT json_serialize_sql('{quoted(query)}'::VARCHAR)").fetchone()
    assert row is not None
    return str(row[0])


@cache
def _effects() -> frozenset[str]:
    """Functions that do more than compute a value, as the engine itself says."""
    found = _engine().execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE has_side_effects"
    )
    return frozenset(name for (name,) in found.fetchall()) - _HARMLESS_EFFECTS | _FORBIDDEN_SCALARS


def _engine() -> duckdb.DuckDBPyConnection:
    """An engine that parses and describes itself, and has nothing else to reach."""
    return duckdb.connect(config={"threads": 1, "enable_external_access": "false"})


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(f"'{quoted(text)}'" for text in texts)
