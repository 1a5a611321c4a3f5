"""Hashes of the data files, taken right after the commit that wrote them.

A data file never changes once it is written, so one hash says for good whether it is as it was. The
hashes are kept in a table of the catalog's own database, not in the warehouse: there each commit
would bring a second one, and with it a second snapshot. They go where the catalog goes, into
backups and back. Reading back what has just been written adds about ten milliseconds to a commit of
a `daily` and a tenth to one of a million rows; files without a hash (a writer was killed, they were
merged, or a former release wrote them) are hashed by maintenance.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.lake import sql
from warehouse.lake.faults import first_line
from warehouse.lake.spec import LakeSpec, is_bucket

_LOG = logging.getLogger(__name__)


def prepare_hashes(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table of hashes if the catalog lacks it; under the writer's lock."""
    connection.execute(sql.statement("hashes_table").text)


def record_hashes(connection: duckdb.DuckDBPyConnection, spec: LakeSpec, *, since: int) -> int:
    """Hash the files of snapshots from `since` on that have no hash yet; returns how many.

    Call it under the writer's lock and outside a transaction. A file that cannot be read is left
    for the next maintenance, and a warning says so: what was committed stays committed.
    """
    try:
        names = sql.SqlReader(connection).read("hashes_missing", {"since": since})["name"]
        rows = list(_hashed(connection, spec, names.to_pylist()))
        if rows:
            table = pa.Table.from_pylist(rows)
            sql.run(connection, sql.statement("hashes_record").text, {}, {"file_hashes": table})
    except (duckdb.Error, OSError) as error:
        _LOG.warning(
            "Data files got no hash: %s. The next `newsvane maintain` hashes them.",
            first_line(error),
        )
        return 0
    return len(rows)


def forget_hashes(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop the hashes of files that the catalog no longer names; under the writer's lock."""
    connection.execute(sql.statement("hashes_forget").text)


def _hashed(
    connection: duckdb.DuckDBPyConnection, spec: LakeSpec, names: list[str]
) -> Iterator[dict[str, str]]:
    for name in names:
        if is_bucket(spec.storage):
            file = {"file": f"{spec.storage.rstrip('/')}/{name}"}
            found = sql.SqlReader(connection).read("files_blob_hash", file)
            digest = str(found["sha256"][0].as_py())
        else:
            with (Path(spec.storage) / name).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        yield {"name": name, "sha256": digest}
