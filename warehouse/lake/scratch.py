"""Columnar work that touches no warehouse: the same SQL statements over tables held in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

import duckdb

from warehouse.lake import sql


class Scratch(sql.SqlReader):
    """An in-memory database; what its statements build is gone with it."""


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
