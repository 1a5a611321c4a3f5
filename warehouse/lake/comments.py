"""Comments: what `sql/schema/` says of each table and column, kept in the catalog for its readers.

A file ends with `COMMENT ON TABLE t IS '…';` and one `COMMENT ON COLUMN t.c IS '…';` for each
column. A table's comment begins with its grain; a column's says unit, zone and what NULL means.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import duckdb

_LITERAL = r"'(?:[^']|'')*'"
_COMMENT = re.compile(
    rf"^COMMENT ON (?:TABLE|COLUMN) ([\w.]+) IS\s+({_LITERAL}(?:\s+{_LITERAL})*);", re.MULTILINE
)
_STORED = (
    "SELECT table_name AS name, comment FROM duckdb_tables() WHERE database_name = 'lake' UNION ALL"
    " SELECT table_name || '.' || column_name, comment FROM duckdb_columns()"
    " WHERE database_name = 'lake' AND schema_name = 'main'"
)


def comments_in(text: str) -> dict[str, str]:
    """The comments that a schema file's text makes, by TABLE and TABLE.COLUMN.

    Literals on lines of their own are one, as in SQL.
    """
    return {
        name: "".join(part[1:-1] for part in re.findall(_LITERAL, words)).replace("''", "'")
        for name, words in _COMMENT.findall(text)
    }


@cache
def declared_comments(schema: Path) -> dict[str, str]:
    """The comments that the files of a schema folder make, by TABLE and TABLE.COLUMN."""
    found: dict[str, str] = {}
    for path in sorted(schema.glob("*.sql")):
        found |= comments_in(path.read_text(encoding="utf-8"))
    return found


def stored_comments(connection: duckdb.DuckDBPyConnection) -> dict[str, str | None]:
    """The comment of each table and column that is there, by TABLE and TABLE.COLUMN, else None."""
    return dict(connection.execute(_STORED).fetchall())


def differing(stored: dict[str, str | None], declared: dict[str, str]) -> dict[str, str]:
    """The declared comments of what is stored with another one or none."""
    return {name: words for name, words in declared.items() if stored.get(name, words) != words}


def set_comments(connection: duckdb.DuckDBPyConnection, comments: dict[str, str]) -> None:
    """Set comments by TABLE and TABLE.COLUMN; call it in a transaction, which is one snapshot."""
    for name, words in comments.items():
        kind = "COLUMN" if "." in name else "TABLE"
        quoted = words.replace("'", "''")
        connection.execute(f"COMMENT ON {kind} {name} IS '{quoted}'")
