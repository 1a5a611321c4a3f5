"""Atomic writes: a file or folder is either absent or whole, and durable once it is there."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import get_ident

PARTIAL = ".partial"
"""The ending of a file that is still being written; nothing reads such a file."""


def write_bytes(path: Path, body: bytes) -> None:
    """Write `body` aside, make it durable and rename it to `path`, in place of what was there."""
    write_blocks(path, (body,))


def write_blocks(path: Path, blocks: Iterable[bytes]) -> None:
    """Write what `blocks` give, one after the other; see write_bytes."""
    # The name is cut, because one of full length has no room left for an ending.
    partial = path.with_name(f"{path.name[:80]}.{os.getpid()}-{get_ident()}{PARTIAL}")
    try:
        with partial.open("wb") as stream:
            stream.writelines(blocks)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8; see write_bytes."""
    write_bytes(path, text.encode())


def publish_folder(root: Path, fill: Callable[[Path], str], *, last: str) -> tuple[str, bool]:
    """Let `fill` write a folder aside and name it, then rename it to `root/NAME`.

    Returns the name and whether it is new. A folder of that name that is complete already (it
    has the file `last`) is left as it is, and what was written aside is dropped.
    """
    root.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".building-", dir=root))
    try:
        name = fill(aside)
        target = root / name
        if (target / last).is_file():
            return name, False
        if target.exists():
            shutil.rmtree(target)
        aside.chmod(0o755)
        sync(aside)
        aside.rename(target)
        sync(root)
        return name, True
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Make a file's content or a folder's entries durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
