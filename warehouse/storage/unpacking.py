"""What an archive from elsewhere may unpack to: names inside one folder, and so many bytes."""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import BinaryIO

ALLOWANCE = 64 << 20
"""Bytes that any archive may unpack to, however small it is."""
LARGEST_RATIO = 200
"""Bytes per packed byte beyond that. Text packs to a tenth or so; a bomb to a thousandth."""


class UnpackedSizeError(ValueError):
    """An archive unpacks to more than may be true of it; the message says how much that is."""


def fault_of_name(name: str) -> str | None:
    """Why a file of that name must not be unpacked below a folder; None when it may.

    Names are relative, with `/` between parts, and mean the same on every system.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute():
        return "is absolute"
    if any(part in {"", ".", ".."} for part in name.split("/")):
        return "leads out of its folder"
    if "\\" in name or ":" in name or not name.isprintable():
        return "holds a character that other systems read as a folder, a drive or an end"
    if any(part != part.rstrip(" .") for part in path.parts):
        return "ends in a way that other systems drop"
    return None


def colliding_names(names: Iterable[str]) -> tuple[str, str] | None:
    """Two names that one file system or other takes for one, or for a file and its folder."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        parents = [str(parent) for parent in PurePosixPath(key).parents][:-1]
        clash = (
            seen.get(key) or folders.get(key) or next(filter(None, map(seen.get, parents)), None)
        )
        if clash is not None:
            return clash, name
        seen[key] = name
        folders.update(dict.fromkeys(parents, name))
    return None


def most_unpacked(packed: int) -> int:
    """The most bytes that `packed` bytes may unpack to."""
    return ALLOWANCE + LARGEST_RATIO * packed


def gunzip(packed: BinaryIO, size: int) -> bytes:
    """What a gzip stream of `size` bytes holds. Raises UnpackedSizeError, and gzip's errors."""
    most = most_unpacked(size)
    with gzip.GzipFile(fileobj=packed) as stream:
        body = stream.read(most + 1)
    if len(body) > most:
        raise UnpackedSizeError(f"{size:,} packed bytes hold more than {most:,}")
    return body
