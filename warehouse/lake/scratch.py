"""Columnar work that touches no warehouse: the same SQL statements over tables held in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import duckdb
import pyarrow as pa

from warehouse.lake import sql
from warehouse.lake.faults import first_line
from warehouse.lake.literals import filled
from warehouse.lake.spec import LakeError


class Scratch(sql.SqlReader):
    """An in-memory database; what its statements build is gone with it."""

    def stream(
        self, name: str, params: Mapping[str, Any], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The result of the reading statement `name`, at most `batch_rows` rows at a time.

        Others may be read meanwhile. Raises LakeError when what it reads breaks off.
        """
        with self._connection.cursor() as cursor:
            try:
                result = cursor.execute(filled(sql.reading_text(name), params))
                yield from result.to_arrow_reader(batch_rows)
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                raise LakeError(first_line(error)) from error


@contextmanager
def scratch(*, threads: int = 2, memory_limit: str = "512MB") -> Iterator[Scratch]:
    """A scratch database for `read`; nothing in it outlives the block. Its time zone is UTC."""
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory_limit,
            "temp_directory": str(Path(gettempdir()) / f"newsvane-{os.getpid()}"),
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(sql.macros())
        yield Scratch(connection)
    finally:
        connection.close()
