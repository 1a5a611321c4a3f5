"""One write transaction: reading and writing statements that are published together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from warehouse.lake import sql
from warehouse.lake.spec import LakeError


class Transaction:
    """One open write transaction. Everything run in it is published together or not at all."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def read(
        self, name: str, /, params: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> pa.Table:
        """The result of the reading statement `name`, as this transaction sees the warehouse."""
        return sql.run(self._connection, reading_text(name), params or {}, tables)

    def run(
        self, name: str, /, params: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> pa.Table:
        """Run the writing statement `name` and return its last result.

        `params` fill `$name` placeholders; each keyword table is visible under its own name.
        Raises LakeError for a statement that writes nothing.
        """
        found = sql.statement(name)
        if found.writes is None:
            raise LakeError(f"The SQL statement {name!r} writes nothing; use read for it.")
        return sql.run(self._connection, found.text, params or {}, tables)

    def append(self, table: str, rows: pa.Table) -> None:
        """Insert rows by column name, unconditionally."""
        if rows.num_rows:
            with sql.registered(self._connection, {"appended_rows": rows}):
                self._connection.execute(
                    f"INSERT INTO {identifier(table)} BY NAME SELECT * FROM appended_rows"
                )

    def upsert(self, table: str, rows: pa.Table, key: tuple[str, ...]) -> int:
        """Merge rows on `key`; rows equal to what is stored are left alone.

        Returns the number of rows inserted or changed. `rows` must be unique on `key`.
        """
        if not rows.num_rows:
            return 0
        columns = [identifier(name) for name in rows.column_names]
        match = " AND ".join(f"stored.{name} = incoming.{name}" for name in map(identifier, key))
        rest = [name for name in columns if name not in {identifier(part) for part in key}]
        changed = " OR ".join(f"stored.{name} IS DISTINCT FROM incoming.{name}" for name in rest)
        statement = f"MERGE INTO {identifier(table)} AS stored USING incoming ON {match}"
        if rest:
            assignments = ", ".join(f"{name} = incoming.{name}" for name in rest)
            statement += f" WHEN MATCHED AND ({changed}) THEN UPDATE SET {assignments}"
        statement += (
            f" WHEN NOT MATCHED THEN INSERT ({', '.join(columns)})"
            f" VALUES ({', '.join(f'incoming.{name}' for name in columns)})"
        )
        with sql.registered(self._connection, {"incoming": rows}):
            answer = self._connection.execute(statement).fetchone()
        return int(answer[0]) if answer else 0


class ReadSql(Protocol):
    """Runs a reading statement: `Lake.read`, `Transaction.read`, or what `Lake.frozen` gives."""

    def __call__(
        self, name: str, /, params: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> pa.Table: ...


def reading_text(name: str) -> str:
    """The text of the statement `name`. Raises LakeError if it is unknown or writes."""
    found = sql.statement(name)
    if found.writes is not None:
        raise LakeError(f"The SQL statement {name!r} writes {found.writes}; run it in transact.")
    return found.text


def identifier(name: str) -> str:
    """A table or column name, quoted. Raises LakeError for what cannot be one."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise LakeError(f"{name!r} is not a table or column name of the warehouse.")
    return f'"{name}"'
