"""The DuckLake: tables with snapshots, one writer at a time, any number of readers."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import duckdb
import pyarrow as pa

from warehouse.attachment import attach, attached_at, first_line
from warehouse.migrations import bring_up_to_date, require_current
from warehouse.spec import LakeError, LakeSpec
from warehouse.writers import WriterLock

__all__ = ["Lake", "LakeError", "LakeSpec", "RunSql", "Transaction", "sql_text"]

SQL_ROOT = Path(__file__).parent / "sql"
T = TypeVar("T")
_BATCH_ROWS = 20_000

_CONFLICT = re.compile(r"conflict|database is locked|could not serialize", re.IGNORECASE)


def sql_text(name: str) -> str:
    """The text of `sql/NAME.sql`, e.g. `marts/label_balance`. Raises LakeError if absent."""
    path = SQL_ROOT / f"{name}.sql"
    if not path.is_file():
        raise LakeError(f"No SQL file named {name!r} below {SQL_ROOT.name}/; check the spelling.")
    return path.read_text(encoding="utf-8")


class Transaction:
    """One open write transaction. Everything run in it is published together or not at all."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def run(
        self, name: str, /, params: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> pa.Table:
        """Run every statement of `sql/NAME.sql` and return the last one's result.

        `params` fill `$name` placeholders; each keyword table is visible under its own name.
        """
        return _run(self._connection, sql_text(name), params or {}, tables)

    def append(self, table: str, rows: pa.Table) -> None:
        """Insert rows by column name, unconditionally."""
        if rows.num_rows:
            with _registered(self._connection, {"appended_rows": rows}):
                self._connection.execute(
                    f"INSERT INTO {_identifier(table)} BY NAME SELECT * FROM appended_rows"
                )

    def upsert(self, table: str, rows: pa.Table, key: tuple[str, ...]) -> int:
        """Merge rows on `key`; rows equal to what is stored are left alone.

        Returns the number of rows inserted or changed. `rows` must be unique on `key`.
        """
        if not rows.num_rows:
            return 0
        columns = [_identifier(name) for name in rows.column_names]
        match = " AND ".join(f"stored.{name} = incoming.{name}" for name in map(_identifier, key))
        rest = [name for name in columns if name not in {_identifier(part) for part in key}]
        changed = " OR ".join(f"stored.{name} IS DISTINCT FROM incoming.{name}" for name in rest)
        statement = f"MERGE INTO {_identifier(table)} AS stored USING incoming ON {match}"
        if rest:
            assignments = ", ".join(f"{name} = incoming.{name}" for name in rest)
            statement += f" WHEN MATCHED AND ({changed}) THEN UPDATE SET {assignments}"
        statement += (
            f" WHEN NOT MATCHED THEN INSERT ({', '.join(columns)})"
            f" VALUES ({', '.join(f'incoming.{name}' for name in columns)})"
        )
        with _registered(self._connection, {"incoming": rows}):
            answer = self._connection.execute(statement).fetchone()
        return int(answer[0]) if answer else 0


class RunSql(Protocol):
    """Runs `sql/NAME.sql`: `Lake.read`, `Transaction.run`, or what `Lake.frozen` gives."""

    def __call__(
        self, name: str, /, params: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> pa.Table: ...


class Lake:
    """An open warehouse. Use as a context manager, one per thread."""

    def __init__(
        self,
        spec: LakeSpec,
        connection: duckdb.DuckDBPyConnection,
        lock: WriterLock,
        snapshot: int | None = None,
    ) -> None:
        self.spec = spec
        self._connection = connection
        self._lock = lock
        self._snapshot = snapshot
        self._reader: duckdb.DuckDBPyConnection | None = None

    @classmethod
    def open(cls, spec: LakeSpec, *, snapshot: int | None = None) -> Lake:
        """Attach the warehouse, creating or migrating its tables first.

        With `snapshot`, attach it read-only as it was at that snapshot id.
        Raises LakeError when the catalog or the storage cannot be reached.
        """
        lock = WriterLock(spec)
        with lock:
            connection = attach(spec, snapshot)
            if snapshot is None:
                try:
                    bring_up_to_date(connection)
                except BaseException:
                    connection.close()
                    raise
        return cls(spec, connection, lock, snapshot)

    @classmethod
    def reading(cls, spec: LakeSpec, *, snapshot: int | None = None) -> Lake:
        """Attach a warehouse that exists, read-only: nothing is created, migrated or locked.

        With `snapshot`, as it was at that snapshot id. Raises LakeError when there is none, when it
        cannot be reached, or when its tables are not those of this release.
        """
        if spec.catalog_kind == "sqlite" and not Path(spec.catalog_location).is_file():
            raise LakeError(
                f"There is no warehouse at {spec.catalog_location}; expected the catalog of one. "
                "Correct the data root, or fill one with `newsvane run`."
            )
        connection = attach(spec, snapshot, read_only=True)
        try:
            if snapshot is None:
                require_current(connection)
        except BaseException:
            connection.close()
            raise
        return cls(spec, connection, WriterLock(spec), snapshot)

    def __enter__(self) -> Lake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections; safe to call twice."""
        self._connection.close()
        self._lock.close()
        if self._reader is not None:
            self._reader.close()

    def read(
        self, name: str, /, params: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> pa.Table:
        """The result of `sql/NAME.sql`. Keyword tables are visible to it under their own names."""
        return _run(self._connection, sql_text(name), params or {}, tables)

    def stream(
        self, name: str, /, params: Mapping[str, Any] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The result of `sql/NAME.sql` in batches, in order, without ever holding all of it."""
        *former, last = duckdb.extract_statements(sql_text(name))
        for statement in former:
            self._connection.execute(statement, _named(statement, params or {}))
        answer = self._connection.execute(last, _named(last, params or {}))
        yield from answer.to_arrow_reader(_BATCH_ROWS)

    @contextmanager
    def frozen(self, snapshot_id: int) -> Iterator[RunSql]:
        """Read the warehouse as of a snapshot, also while a transaction is open.

        What is read has temporary tables of its own, and gives their memory back when they go;
        inside a transaction they would be kept until its end.
        """
        with attached_at(self._connection, self.spec, snapshot_id) as beside:

            def read(
                name: str, /, params: Mapping[str, Any] | None = None, **tables: pa.Table
            ) -> pa.Table:
                return _run(beside, sql_text(name), params or {}, tables)

            yield read

    def sql(self, query: str, params: Mapping[str, Any] | None = None) -> pa.Table:
        """The result of an ad-hoc reading query. Raises LakeError unless it is one SELECT."""
        try:
            statements = duckdb.extract_statements(query)
        except duckdb.Error as error:
            raise LakeError(f"The query could not be parsed: {first_line(error)}") from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise LakeError("Expected exactly one reading query (SELECT …); nothing was run.")
        try:
            return self._reading().execute(statements[0], dict(params or {})).to_arrow_table()
        except duckdb.Error as error:
            raise LakeError(f"The query failed: {first_line(error)}") from error

    def _reading(self) -> duckdb.DuckDBPyConnection:
        """A read-only attachment: some of DuckLake's functions delete data even from a SELECT."""
        if self._reader is None:
            self._reader = attach(self.spec, self._snapshot, read_only=True)
        return self._reader

    def snapshot_id(self) -> int:
        """The id of the last committed snapshot."""
        row = self._connection.execute("SELECT id FROM lake.current_snapshot()").fetchone()
        if row is None:
            raise LakeError("The catalog holds no snapshot; the warehouse was not created.")
        return int(row[0])

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction under the writer lock and commit it.

        A conflict with a writer that does not heed the lock rolls back and runs `work` again with
        jittered waits, `commit_attempts` times in all. Any other error rolls back and is raised.
        """
        jitter = random.Random()  # noqa: S311 - spreads retries, decides nothing else
        for attempt in range(1, self.spec.commit_attempts + 1):
            try:
                with self._lock:
                    return self._attempt(work)
            except duckdb.Error as error:
                if attempt == self.spec.commit_attempts or not _CONFLICT.search(str(error)):
                    raise
                time.sleep(min(2.0, 0.05 * 2**attempt) * jitter.uniform(0.5, 1.5))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _attempt(self, work: Callable[[Transaction], T]) -> T:
        self._connection.execute("BEGIN TRANSACTION")
        try:
            result = work(Transaction(self._connection))
            self._connection.execute("COMMIT")
        except BaseException:
            # A failed COMMIT has already ended the transaction; then there is nothing to undo.
            with suppress(duckdb.Error):
                self._connection.execute("ROLLBACK")
            raise
        return result


def _run(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    params: Mapping[str, Any],
    tables: Mapping[str, pa.Table],
) -> pa.Table:
    result = pa.table({})
    with _registered(connection, tables):
        for statement in duckdb.extract_statements(text):
            answer = connection.execute(statement, _named(statement, params))
            if answer.description:
                result = answer.to_arrow_table()
    return result


def _named(statement: duckdb.Statement, params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in statement.named_parameters}


@contextmanager
def _registered(
    connection: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table]
) -> Iterator[None]:
    handed = {name: _Handed(table) for name, table in tables.items()}
    for name, holder in handed.items():
        connection.register(name, holder)
    try:
        yield
    finally:
        for name, holder in handed.items():
            connection.unregister(name)
            holder.table = pa.table({})


class _Handed:
    """Rows lent to a connection, which keeps what it was lent until its transaction ends.

    Taking the table out of the holder frees the rows all the same.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise LakeError(f"{name!r} is not a table or column name of the warehouse.")
    return f'"{name}"'
