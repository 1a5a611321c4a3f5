"""What the database's errors are about: what passes by itself, and what to do about the rest."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import duckdb

from warehouse.lake.spec import LakeError, LakeSpec, is_bucket

T = TypeVar("T")

_CONFLICT = re.compile(r"conflict|database is locked|could not serialize", re.IGNORECASE)
_LOCKED = re.compile(r"database (?:table )?is (?:locked|busy)", re.IGNORECASE)
_FULL = re.compile(r"no space left|disk is full|file too large|quota exceeded", re.IGNORECASE)
_REFUSED = re.compile(
    r"permission denied|readonly database|read-only (?:file system|database)|"
    r"unable to open database file|attempt to write a readonly",
    re.IGNORECASE,
)
_AWAY = re.compile(
    r"could not (?:connect|resolve|establish)|connection (?:error|refused|reset|timed)|"
    r"server closed the connection|timed? ?out|HTTP 5\d\d|HTTP 429",
    re.IGNORECASE,
)
# What an SQLite catalog says when its files cannot be written, whatever the reason.
_UNWRITABLE = re.compile(r"disk i/o error|cannot rollback", re.IGNORECASE)
_DAMAGE = re.compile(
    r"parquet|magic bytes|cannot open file|HTTP|TProtocol|decompress|snappy|zstd|corrupt",
    re.IGNORECASE,
)
_SMALLEST_ROOM = 8 << 20
"""Bytes: with less free than this, a disk that cannot be written is taken to be full."""

_OF_SURROUNDINGS = (
    duckdb.IOException,
    duckdb.HTTPException,
    duckdb.ConnectionException,
    duckdb.TransactionException,
)


def is_conflict(error: Exception) -> bool:
    """Whether a writer that does not heed the lock was in the way: the work may be run again."""
    return bool(_CONFLICT.search(str(error)))


def is_of_surroundings(error: BaseException) -> bool:
    """Whether the database failed for its disk, server or bucket and not for what it was asked."""
    if isinstance(error, _OF_SURROUNDINGS):
        return True
    kinds = (_LOCKED, _FULL, _REFUSED, _AWAY, _UNWRITABLE)
    return isinstance(error, duckdb.Error) and any(kind.search(str(error)) for kind in kinds)


def patiently(work: Callable[[], T], spec: LakeSpec) -> T:
    """The result of `work`, run again while another program holds the catalog.

    That is waited for as long as `lock_patience` says. Raises what the last run raised.
    """
    deadline, pause = time.monotonic() + spec.lock_patience.total_seconds(), 0.05
    while True:
        try:
            return work()
        except (duckdb.Error, LakeError) as error:
            if not _LOCKED.search(str(error)) or time.monotonic() >= deadline:
                raise
        time.sleep(pause)
        pause = min(1.0, pause * 2)


@contextmanager
def explained(spec: LakeSpec) -> Iterator[None]:
    """Raises LakeError, with the cause and what to do, for errors of disk, server or data files.

    Others pass as they are.
    """
    try:
        yield
    except duckdb.Error as error:
        words = advice(error, spec)
        if words is None and _DAMAGE.search(str(error)):
            words = (
                f"A data file of the warehouse could not be read: {first_line(error)}. See with "
                "`newsvane verify` what is damaged or missing, and put a backup back with "
                "`newsvane restore FOLDER` in another place."
            )
        if words is None:
            raise
        raise LakeError(words) from error


def advice(error: Exception, spec: LakeSpec) -> str | None:
    """What happened and what to do, in sentences; None when the surroundings are not to blame.

    A damaged file is no matter of the surroundings.
    """
    text, said = str(error), first_line(error)
    catalog = f"{spec.catalog_kind}:{spec.catalog_location}"
    if _LOCKED.search(text):
        return (
            f"Another program holds the catalog {catalog} and did not let go within "
            f"{spec.lock_patience.total_seconds():g} s ({said}). Nothing was written; end that "
            "program, then run the command again."
        )
    room = _room(spec)
    if _FULL.search(text) or (_UNWRITABLE.search(text) and room < _SMALLEST_ROOM):
        return (
            f"The disk has no room for the warehouse at {catalog}: {said} ({room:,} bytes are "
            "free). Nothing was written; make room (`newsvane maintain` drops what is no longer "
            "needed), then run the command again."
        )
    if _REFUSED.search(text) or _UNWRITABLE.search(text):
        return (
            f"The warehouse at {catalog} could not be written or read: {said}. Check that the "
            "path exists and that this user may write there and into its folder, then run the "
            "command again."
        )
    if _AWAY.search(text):
        return (
            f"The storage or catalog of {catalog} did not answer: {said}. Nothing was written; "
            "check that the server and the network are up, then run the command again."
        )
    return None


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its kind; the cause, if a failed undo hides it."""
    lines = [line.strip(" .") for line in str(error).strip().splitlines() if line.strip()]
    telling = [line for line in lines if "cannot rollback" not in line] or lines
    return telling[0] if telling else type(error).__name__


def _room(spec: LakeSpec) -> int:
    """Free bytes on the fullest of the disks that hold catalog and storage."""
    places = [Path(spec.catalog_location).parent] if spec.catalog_kind == "sqlite" else []
    places += [] if is_bucket(spec.storage) else [Path(spec.storage)]
    found = []
    for place in places:
        here = next((one for one in (place, *place.absolute().parents) if one.exists()), Path("/"))
        found.append(shutil.disk_usage(here).free)
    return min(found, default=_SMALLEST_ROOM)
