"""The data files in the storage, held against what the catalog says of them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from warehouse.lake import Lake, LakeSpec
from warehouse.storage.object_store import ByteStore, StoreError, open_store

_BLOCK = 1 << 20
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FileCheck:
    """How many data files were compared, and those that are not as committed: name, problem.

    `unhashed` counts those of which only the size is known: maintenance hashes them.
    """

    files: int
    unhashed: int
    problems: tuple[tuple[str, str], ...]


def check_files(lake: Lake, progress: Progress | None = None) -> FileCheck:
    """Read every data file that any kept snapshot needs, and compare its size and hash.

    Raises LakeError when the catalog cannot be read; whatever is wrong with a file is a problem.
    """
    store = open_store(lake.spec.storage, lake.spec.endpoint)
    rows = lake.scan("files_hashed", {}).to_pylist()
    problems = []
    for done, row in enumerate(rows, start=1):
        problem = _problem(store, row["name"], row["bytes"], row["sha256"])
        if problem is not None:
            problems.append((row["name"], problem))
        if progress is not None:
            progress(done, len(rows))
    unhashed = sum(row["sha256"] is None for row in rows)
    return FileCheck(len(rows), unhashed, tuple(problems))


def check_catalog(spec: LakeSpec) -> str | None:
    """What SQLite itself finds wrong with the catalog's file; None for nothing or a server's."""
    if spec.catalog_kind != "sqlite":
        return None
    try:
        address = f"file:{quote(str(Path(spec.catalog_location).absolute()))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as catalog:
            found = [row[0] for row in catalog.execute("PRAGMA integrity_check(3)")]
    except sqlite3.Error as error:
        found = [str(error)]
    return None if found == ["ok"] else f"is damaged: {'; '.join(found)}"


def _problem(store: ByteStore, name: str, size: int, sha256: str | None) -> str | None:
    digest, found = hashlib.sha256(), 0
    try:
        with store.open(name) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                found += len(block)
    except FileNotFoundError:
        return f"is missing from {store.location}"
    except (OSError, StoreError) as error:
        return f"could not be read: {error}"
    if found != size:
        return f"is {found} bytes, expected {size}"
    if sha256 is not None and digest.hexdigest() != sha256:
        return f"hashes to {digest.hexdigest()}, expected {sha256}"
    return None
