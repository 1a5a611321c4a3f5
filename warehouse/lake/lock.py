"""One writer at a time: in one folder by a file, on a PostgreSQL catalog by an advisory lock.

DuckLake detects two commits that change the same rows, but not two that each insert the row the
other one did not see yet. Both would keep it, so whoever merges must be alone.
"""

from __future__ import annotations

from types import TracebackType

import duckdb
from filelock import FileLock

from warehouse.lake.connection import first_line, load_extension, quoted
from warehouse.lake.spec import LakeError, LakeSpec

# Any number will do, as long as every writer of a catalog uses the same one.
_ADVISORY_LOCK = 0x6E657773


class WriterLock:
    """Held by whoever writes to the warehouse of `spec`. Not for use by several threads."""

    def __init__(self, spec: LakeSpec) -> None:
        spec.lock.parent.mkdir(parents=True, exist_ok=True)
        self._file = FileLock(spec.lock)
        self._server = spec.catalog_location if spec.catalog_kind == "postgres" else None
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> WriterLock:
        # The file comes first, so that one machine sends one candidate to the server.
        self._file.acquire()
        try:
            self._lock_server()
        except BaseException:
            self._file.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._connection is not None:
                self._connection.execute("COMMIT")
        except duckdb.Error:
            # The server has gone, and the lock with it.
            self.close()
        finally:
            self._file.release()

    def close(self) -> None:
        """Drop the connection to the server; safe to call twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _lock_server(self) -> None:
        if self._server is None:
            return
        try:
            if self._connection is None:
                self._connection = _connected(self._server)
            self._connection.execute("BEGIN TRANSACTION")
            self._connection.execute(
                "FROM postgres_query('writers', 'SELECT 1 AS held"
                f" FROM pg_advisory_xact_lock({_ADVISORY_LOCK})')"
            ).fetchall()
        except duckdb.Error as error:
            self.close()
            raise LakeError(
                f"The catalog server did not grant the writer's lock: {first_line(error)}."
                " Nothing was written; check that PostgreSQL is up and reachable, then retry."
            ) from error


def _connected(server: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    try:
        load_extension(connection, "postgres_scanner")
        connection.execute(f"ATTACH '{quoted(server)}' AS writers (TYPE postgres)")
    except duckdb.Error:
        connection.close()
        raise
    return connection
