"""The DuckLake: tables with snapshots, one write transaction at a time, any number of readers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from warehouse.lake import reading, sql
from warehouse.lake.connection import WriterLock, attach, attached_at
from warehouse.lake.faults import explained, is_conflict, patiently
from warehouse.lake.hashes import forget_hashes, prepare_hashes, record_hashes
from warehouse.lake.identity import mark_places, open_own
from warehouse.lake.kind import record_kind, require_kind
from warehouse.lake.literals import filled
from warehouse.lake.migrations import bring_up_to_date, require_current
from warehouse.lake.spec import LakeError, LakeSpec

T = TypeVar("T")
_BATCH_ROWS = 20_000


class Lake(sql.SqlReader):
    """An open warehouse. Use as a context manager, one per thread."""

    def __init__(
        self,
        spec: LakeSpec,
        connection: duckdb.DuckDBPyConnection,
        lock: WriterLock,
        snapshot: int | None = None,
    ) -> None:
        super().__init__(connection)
        self.spec = spec
        self._lock = lock
        self._snapshot = snapshot
        self._kind_recorded = spec.kind is None
        self._readers: dict[tuple[Path, ...], duckdb.DuckDBPyConnection] = {}

    @classmethod
    def open(cls, spec: LakeSpec, *, snapshot: int | None = None) -> Lake:
        """Attach the warehouse, creating or migrating its tables first.

        With `snapshot`, attach it read-only as it was at that snapshot id.
        Raises LakeError when the catalog or the storage cannot be reached, and IdentityError when
        storage or landing zone hold files without their catalog, or those of another warehouse, and
        KindError when it holds data of another kind than `spec.kind`.
        """
        lock = WriterLock(spec)
        with lock:

            def begin(connection: duckdb.DuckDBPyConnection) -> None:
                require_kind(connection, spec)
                bring_up_to_date(connection)
                mark_places(connection, spec)
                prepare_hashes(connection)

            check = begin if snapshot is None else None
            with explained(spec):
                connection = patiently(lambda: _prepared(open_own(spec, snapshot), check), spec)
        return cls(spec, connection, lock, snapshot)

    @classmethod
    def reading(cls, spec: LakeSpec, *, snapshot: int | None = None) -> Lake:
        """Attach a warehouse that exists, read-only: nothing is created, migrated or locked.

        With `snapshot`, as it was at that snapshot id. Raises LakeError when there is none, when it
        cannot be reached, when its files are not its own, or when its tables are not those of this
        release.
        """
        check = require_current if snapshot is None else None
        with explained(spec):
            connection = patiently(
                lambda: _prepared(open_own(spec, snapshot, read_only=True), check), spec
            )
        return cls(spec, connection, WriterLock(spec), snapshot)

    def __enter__(self) -> Lake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections; safe to call twice."""
        self._connection.close()
        self._lock.close()
        for reader in self._readers.values():
            reader.close()

    def read(
        self, name: str, /, params: Mapping[str, Any] | None = None, **tables: pa.Table
    ) -> pa.Table:
        """The result of the reading statement `name`; see SqlReader.

        Raises LakeError for a data file that is damaged or missing too.
        """
        with explained(self.spec):
            return super().read(name, params, **tables)

    def stream(
        self, name: str, /, params: Mapping[str, Any] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of the single reading statement `name`, in order, never holding all of them."""
        with explained(self.spec):
            answer = self._connection.execute(filled(sql.reading_text(name), params or {}))
            yield from answer.to_arrow_reader(_BATCH_ROWS)

    @contextmanager
    def frozen(self, snapshot_id: int) -> Iterator[sql.SqlReader]:
        """Read the warehouse as of a snapshot, also while a transaction is open.

        What is read has temporary tables of its own, and gives their memory back when they go;
        inside a transaction they would be kept until its end.
        """
        with attached_at(self._connection, self.spec, snapshot_id) as beside:
            sql.define_views(beside)
            yield sql.SqlReader(beside)

    @contextmanager
    def override(self, relation: str, by: str) -> Iterator[None]:
        """While open, `relation` reads as the temporary relation `by`, then as itself again."""
        replaced = sql.identifier(relation)
        self._connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {replaced} AS FROM temp.main.{sql.identifier(by)}"
        )
        try:
            yield
        finally:
            self._connection.execute(f"DROP VIEW IF EXISTS temp.main.{replaced}")

    def sql(
        self,
        query: str,
        params: Mapping[str, Any] | None = None,
        *,
        files: Sequence[Path] = (),
    ) -> pa.Table:
        """The result of an ad-hoc reading query over the warehouse, and over `files` if given.

        `files` are files or folders of this machine. Raises QueryError unless it is one SELECT
        that only reads, and only there.
        """
        statement = reading.require_reading(query, files=bool(files))
        try:
            answer = self._reading(tuple(files)).execute(statement, dict(params or {}))
            return answer.to_arrow_table()
        except duckdb.Error as error:
            raise reading.failed(error) from error

    def _reading(self, files: tuple[Path, ...] = ()) -> duckdb.DuckDBPyConnection:
        """A read-only attachment that reaches the lake and `files`, and nothing else."""
        if files not in self._readers:
            reader = _prepared(attach(self.spec, self._snapshot, read_only=True, create=False))
            reading.lock(reader, self.spec, files)
            self._readers[files] = reader
        return self._readers[files]

    def snapshot_id(self) -> int:
        """The id of the last committed snapshot."""
        row = self._connection.execute("SELECT id FROM lake.current_snapshot()").fetchone()
        if row is None:
            raise LakeError("The catalog holds no snapshot; the warehouse was not created.")
        return int(row[0])

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction under the writer lock and commit it.

        A conflict with a writer that does not heed the lock rolls back and runs `work` again with
        jittered waits, `commit_attempts` times in all, and as long as `lock_patience` says while
        another program holds the catalog. Any other error rolls back and is raised: a LakeError
        when disk, server or data files are to blame.
        """
        with explained(self.spec):
            return patiently(lambda: self._committed(work), self.spec)

    def _committed(self, work: Callable[[Transaction], T]) -> T:
        jitter = random.Random()  # noqa: S311 - spreads retries, decides nothing else
        for attempt in range(1, self.spec.commit_attempts + 1):
            try:
                with self._lock:
                    self._record_kind()
                    # Asked for beforehand: what fails after a commit must not run `work` again.
                    before = self.snapshot_id()
                    result = self._attempt(work)
                    record_hashes(self._connection, self.spec, since=before)
                    return result
            except duckdb.Error as error:
                if attempt == self.spec.commit_attempts or not is_conflict(error):
                    raise
                time.sleep(min(2.0, 0.05 * 2**attempt) * jitter.uniform(0.5, 1.5))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _record_kind(self) -> None:
        if not self._kind_recorded:
            record_kind(self._connection, self.spec)
            self._kind_recorded = True

    def hash_files(self) -> int:
        """Hash every data file that has no hash yet, and drop those of files that are gone.

        Returns how many were hashed. Each commit hashes its own; see hashes.py.
        """
        with self._lock:
            forget_hashes(self._connection)
            return record_hashes(self._connection, self.spec, since=0)

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


class Transaction(sql.SqlReader):
    """One open write transaction. Everything run in it is published together or not at all."""

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
                    f"INSERT INTO {sql.identifier(table)} BY NAME SELECT * FROM appended_rows"
                )

    def upsert(self, table: str, rows: pa.Table, key: tuple[str, ...]) -> int:
        """Merge rows on `key`; rows equal to what is stored are left alone.

        Returns the number of rows inserted or changed. `rows` must be unique on `key`.
        """
        if not rows.num_rows:
            return 0
        columns = [sql.identifier(name) for name in rows.column_names]
        match = " AND ".join(
            f"stored.{name} = incoming.{name}" for name in map(sql.identifier, key)
        )
        rest = [name for name in columns if name not in {sql.identifier(part) for part in key}]
        changed = " OR ".join(f"stored.{name} IS DISTINCT FROM incoming.{name}" for name in rest)
        statement = f"MERGE INTO {sql.identifier(table)} AS stored USING incoming ON {match}"
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


def _prepared(
    connection: duckdb.DuckDBPyConnection,
    check: Callable[[duckdb.DuckDBPyConnection], object] | None = None,
) -> duckdb.DuckDBPyConnection:
    """The connection with macros and views, once `check` has passed; closed again if it fails."""
    try:
        if check is not None:
            check(connection)
        sql.define_views(connection)
    except BaseException:
        connection.close()
        raise
    return connection
