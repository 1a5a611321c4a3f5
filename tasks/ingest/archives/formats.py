"""Formats: published column layouts, recognised by the header alone."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict


class ArchiveError(ValueError):
    """A file cannot be imported as declared; the message says which part does not fit."""


class ArchiveFormat(BaseModel):
    """A column layout: the `header` it needs, what may stand beside it, and how it is mapped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    what: str
    header: tuple[str, ...]
    also: tuple[str, ...] = ()
    mapping: Mapping[str, Any]

    def fits(self, header: Iterable[str], *, keys: bool) -> bool:
        """Whether a file with this header is of the format; `keys`: of objects, which may lack some
        and hold others."""
        found, needed = set(header), set(self.header)
        return needed <= found and (keys or found <= needed | set(self.also))


@cache
def formats(rows: str) -> tuple[ArchiveFormat, ...]:
    """The formats known for `rows` (prices, headlines, actions); of features there are none."""
    text = (files("tasks.ingest.archives") / "formats.toml").read_text(encoding="utf-8")
    known = tomllib.loads(text).get(rows, {})
    return tuple(ArchiveFormat(name=name, **fields) for name, fields in known.items())


def choose_format(
    rows: str, header: Iterable[str], declared: str | None, *, keys: bool
) -> ArchiveFormat | None:
    """The declared format, or the one that the header shows; of several, the one that needs most.

    `none` declares that the file is of no format. Raises ArchiveError for an unknown name.
    """
    known = formats(rows)
    if declared == "none":
        return None
    if declared is not None:
        named = {each.name: each for each in known}
        if declared not in named:
            raise ArchiveError(
                f"format is {declared!r}; expected one of {', '.join(sorted(named))}, or none for "
                "a file whose columns are all declared."
            )
        return named[declared]
    header = tuple(header)
    fitting = sorted(
        (each for each in known if each.fits(header, keys=keys)),
        key=lambda each: (-len(each.header), each.name),
    )
    return fitting[0] if fitting else None


def find_column(name: str, header: Iterable[str]) -> str | None:
    """The column of the header that is meant by `name`: that one, or the only one that differs from
    it in capitals and outer blanks alone."""
    header = tuple(header)
    if name in header:
        return name
    alike = [column for column in header if _folded(column) == _folded(name)]
    return alike[0] if len(alike) == 1 else None


def _folded(name: str) -> str:
    return name.strip().casefold()
