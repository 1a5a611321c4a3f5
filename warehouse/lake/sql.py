"""Named SQL statements: the blocks of `sql/STAGE/*.sql`, called by their literal names.

A block begins with `-- name: NAME` and says what it gives (`-- grain:`), which temporary relations
of the connection it makes (`-- builds:`), or what it changes in the warehouse (`-- writes:`).
`-- feeds:` names tables whose rows Python makes of what it gives.
Relations are files of their own: tables in `sql/schema/`, views in `sql/views/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from warehouse.lake.literals import filled
from warehouse.lake.spec import LakeError

SQL_ROOT = Path(__file__).resolve().parents[1] / "sql"
STAGES = ("ingest", "dataset", "evaluation", "prediction", "report", "checks", "operations")
_BLOCK = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_HEADER = re.compile(r"^-- (grain|builds|writes|feeds): (.+)$", re.MULTILINE)
_overrides: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Statement:
    """One named block: its text, and what its header says it gives, builds, writes or feeds."""

    name: str
    text: str
    grain: str
    builds: str | None
    writes: str | None
    feeds: str | None


def statement(name: str) -> Statement:
    """The block called `name`. Raises LakeError when no file of `sql/` has it."""
    found = _library().get(name)
    if found is None:
        raise LakeError(f"No SQL statement is named {name!r} below sql/; check the spelling.")
    replaced = _overrides.get(name)
    return found if replaced is None else _statement(name, replaced)


@contextmanager
def override(name: str, text: str) -> Iterator[None]:
    """While open, `name` reads as `text`: the seam by which tests break the pipeline on purpose."""
    statement(name)
    _overrides[name] = text
    try:
        yield
    finally:
        del _overrides[name]


def reading_text(name: str) -> str:
    """The text of the statement `name`. Raises LakeError if it is unknown or writes."""
    found = statement(name)
    if found.writes is not None:
        raise LakeError(f"The SQL statement {name!r} writes {found.writes}; run it in transact.")
    return found.text


def identifier(name: str) -> str:
    """A table or column name, quoted. Raises LakeError for what cannot be one."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise LakeError(f"{name!r} is not a table or column name of the warehouse.")
    return f'"{name}"'


class SqlReader:
    """Runs reading statements on one connection: a lake's, a transaction's or a scratch one's."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def read(
        self, name: str, /, params: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> pa.Table:
        """The result of the reading statement `name`, as this connection sees the warehouse.

        Keyword tables are visible to it under their own names. Raises LakeError for a statement
        that is unknown or writes.
        """
        return run(self._connection, reading_text(name), params or {}, tables)

    @contextmanager
    def together(self) -> Iterator[None]:
        """One transaction around several reads: DuckLake reads its catalog once for all of them.

        Nothing may be built in it: a plan over a table that an open transaction made knows none of
        its statistics, and can be twelve times slower.
        """
        self._connection.execute("BEGIN TRANSACTION")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def scan(self, name: str, params: Mapping[str, Any], **tables: pa.Table) -> pa.Table:
        """The same of a statement that reads files. Raises LakeError when they break off."""
        try:
            return self.read(name, params, **tables)
        except duckdb.Error as error:
            raise LakeError(str(error).strip().splitlines()[0]) from error


class ReadSql(Protocol):
    """Runs a reading statement: a bound `SqlReader.read`, or what stands in its place."""

    def __call__(
        self, name: str, /, params: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> pa.Table: ...


def names() -> tuple[str, ...]:
    """The names of all statements, in order."""
    return tuple(sorted(_library()))


def relations(kind: str) -> dict[str, str]:
    """The relations of `kind` (schema, views) by name, each with its definition."""
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted((SQL_ROOT / kind).glob("*.sql"))
    }


def define_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Make macros and views known to a connection that sees the warehouse's tables.

    They are temporary and bind when they are read, so that a relation that stands before a stored
    one is seen through them too. A view over tables that an old snapshot lacks is left out.
    """
    # In one transaction, because DuckLake reads its catalog anew for each: some 30 times otherwise.
    connection.execute("BEGIN TRANSACTION")
    connection.execute(macros())
    for text in views():
        with suppress(duckdb.CatalogException, duckdb.BinderException):
            connection.execute(text)
    connection.execute("COMMIT")


def run(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    params: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
) -> pa.Table:
    """Run every statement of `text` and return the last one's result.

    `params` fill `$name` placeholders; each of `tables` is visible under its own name meanwhile.
    """
    result = pa.table({})
    with registered(connection, tables):
        for part in duckdb.extract_statements(filled(text, params)):
            answer = connection.execute(part)
            if answer.description:
                result = answer.to_arrow_table()
    return result


@contextmanager
def registered(
    connection: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table]
) -> Iterator[None]:
    """Lend tables to a connection under their names, and take their rows back afterwards."""
    lent = {name: _Lent(table) for name, table in tables.items()}
    for name, holder in lent.items():
        connection.register(name, holder)
    try:
        yield
    finally:
        for name, holder in lent.items():
            connection.unregister(name)
            holder.table = pa.table({})


class _Lent:
    """Rows lent to a connection, which keeps what it was lent until its transaction ends.

    Taking the table out of the holder frees the rows all the same.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


@cache
def _library() -> dict[str, Statement]:
    found: dict[str, Statement] = {}
    for stage in STAGES:
        for path in sorted((SQL_ROOT / stage).glob("*.sql")):
            _, *parts = _BLOCK.split(path.read_text(encoding="utf-8"))
            for name, text in zip(parts[::2], parts[1::2], strict=True):
                if name in found:
                    raise LakeError(f"Two SQL statements are named {name!r}; rename one of them.")
                found[name] = _statement(name, text.strip())
    return found


def _statement(name: str, text: str) -> Statement:
    header = dict(_HEADER.findall(text))
    return Statement(
        name, text, header.get("grain", ""), *map(header.get, ("builds", "writes", "feeds"))
    )


@cache
def macros() -> str:
    """The text of the macros that statements share."""
    return (SQL_ROOT / "macros.sql").read_text(encoding="utf-8")


@cache
def views() -> tuple[str, ...]:
    """The definitions of the views, in order."""
    return tuple(relations("views").values())
