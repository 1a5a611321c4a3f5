"""Files somebody keeps, as sources: read under declared or known columns, landed as a manifest.

The file stays where it is. What lands is a manifest with its name, size, sha256 and mapping, so
that every row points at the exact bytes it came from however large they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Generic, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from tasks.ingest.archives.formats import ArchiveError, ArchiveFormat, choose_format, find_column
from tasks.ingest.archives.tables import CsvTable, JsonTable, ParquetTable, Table
from tasks.ingest.archives.text import is_binary, plain_text
from warehouse.lake.scratch import Scratch
from warehouse.storage.atomic import file_sha256
from warehouse.storage.landing import Payload
from warehouse.tables.batches import REJECTS

__all__ = ["Archive", "ArchiveError", "ArchiveMapping", "manifest", "open_archive"]

_MARKUP = ("<?xml", "<rss", "<feed", "<html", "<!doctype")
SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet")


class ArchiveMapping(BaseModel):
    """Which columns of an archive mean what; FIELDS names the columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    FIELDS: ClassVar[tuple[str, ...]]
    NEEDED: ClassVar[tuple[str, ...]]
    ROWS: ClassVar[str]

    source: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """Name of the archive in the warehouse."""
    format: str | None = None
    """One of the known formats (`none`: of no format); none given: the header decides."""
    constants: Mapping[str, str] = Field(default_factory=dict)
    """Fields that no column holds, with one value for all rows."""
    separator: str | None = Field(default=None, min_length=1, max_length=4)
    """Mark between cells; none: found in the file."""
    quote: str | None = Field(default=None, min_length=1)
    """Mark around cells; none: found in the file."""
    encoding: str | None = None
    """Encoding of the text; none: found in the file."""

    def columns(self) -> dict[str, str]:
        """The archive's column for each field that is mapped."""
        return {
            name: column
            for name in self.FIELDS
            if (column := getattr(self, name)) is not None and name not in self.constants
        }


M = TypeVar("M", bound=ArchiveMapping)


@dataclass(frozen=True, slots=True)
class Archive(Generic[M]):
    """An open file: what it is, how its columns are read, and its rows.

    `rows` counts what the file holds, empty lines left out; `rejects` (REJECTS without source and
    payload) are the lines among them that are no rows of a table.
    """

    mapping: M
    format: ArchiveFormat | None
    kind: str
    notes: tuple[str, ...]
    rows: int
    readable: int
    broken: pa.Table
    table: Table

    def words(self) -> dict[str, str]:
        """What was found out about the file, in words."""
        mapping = self.mapping
        columns = [f"{name} = {column}" for name, column in mapping.columns().items()]
        columns += [f"{name} = {value!r} in every row" for name, value in mapping.constants.items()]
        found = f"{self.format.name} ({self.format.what})" if self.format else "none known"
        return {
            "file": ", ".join([self.kind, *self.notes]),
            "format": found,
            "columns": ", ".join(columns),
        }

    def batches(
        self, batch_rows: int, fields: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The readable rows, at most about `batch_rows` at a time; a column per mapped field.

        Only `fields`, if given.
        """
        columns = {
            name: column
            for name, column in self.mapping.columns().items()
            if fields is None or name in fields
        }
        constants = {
            name: value
            for name, value in self.mapping.constants.items()
            if fields is None or name in fields
        }
        seen = 0
        for arrays in self.table.batches(list(columns.values()), batch_rows):
            read = dict(zip(columns, arrays, strict=True))
            size = len(arrays[0])
            read |= {name: pa.repeat(value, size) for name, value in constants.items()}
            seen += size
            yield pa.RecordBatch.from_arrays(list(read.values()), names=list(read))
        if seen != self.readable:
            raise ArchiveError(
                f"The file changed while it was imported: {seen:,} rows instead of "
                f"{self.readable:,}. Import it again."
            )

    def rejects(self, kind: str, payload_id: str) -> pa.Table:
        """The lines that are no rows, as REJECTS."""
        rows = [
            {
                "kind": kind,
                "source": self.mapping.source,
                "key": "*" if kind == "headline" else "?",
                "reason": line["reason"],
                "record": json.dumps({"line": line["line"], "text": line["text"]}),
                "payload_id": payload_id,
            }
            for line in self.broken.to_pylist()
        ]
        return pa.Table.from_pylist(rows, schema=REJECTS)


@contextmanager
def open_archive(path: Path, mapping: M, engine: Scratch) -> Iterator[Archive[M]]:
    """The file as an Archive; all of it was read once when it opens, so that its errors come first.

    Raises ArchiveError when the file is absent, of another kind, damaged or unreadable, or lacks a
    column that the mapping or its format names.
    """
    if not path.is_file() or not _suffix(path):
        raise ArchiveError(
            f"{path} is not a file that can be imported; expected an existing "
            f"{', '.join(SUFFIXES)} file, as it is or compressed (.gz)."
        )
    with (
        TemporaryDirectory(prefix="newsvane-import-") as folder,
        _opened(path, mapping, engine, Path(folder)) as table,
    ):
        chosen = choose_format(mapping.ROWS, table.header, mapping.format, keys=table.keys)
        resolved = _resolved(path, mapping, chosen, table)
        readable, broken = table.survey(list(resolved.columns().values()))
        _require_encoding(path, readable, broken)
        if not readable + broken.num_rows:
            raise ArchiveError(
                f"{path.name} holds no rows; expected at least one. Nothing was imported."
            )
        yield Archive(
            mapping=resolved,
            format=chosen,
            kind=table.kind,
            notes=table.notes,
            rows=readable + broken.num_rows,
            readable=readable,
            broken=broken,
            table=table,
        )


def manifest(path: Path, mapping: ArchiveMapping, now: datetime) -> Payload:
    """The payload that stands for the file: equal bytes under an equal mapping, equal payload."""
    body = {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
        "mapping": mapping.model_dump(mode="json", exclude_none=True),
    }
    return Payload(
        source=mapping.source,
        url=f"file:{path.name}",
        status=200,
        headers=(("content-type", "application/json"),),
        body=json.dumps(body, sort_keys=True).encode(),
        fetched_at=now,
    )


@contextmanager
def _opened(path: Path, mapping: M, engine: Scratch, folder: Path) -> Iterator[Table]:
    binary = is_binary(path)
    if binary == "Parquet" or _suffix(path) == ".parquet":
        yield ParquetTable(path)
        return
    if binary is not None:
        raise ArchiveError(
            f"{path.name} is {binary}, not text; unpack it or save it as CSV, JSON or Parquet."
        )
    with plain_text(path, mapping.encoding, folder) as text:
        start = text.head.lstrip()[:1]
        if text.head.lstrip()[:9].lower().startswith(_MARKUP):
            raise ArchiveError(
                f"{path.name} is XML or a web page ({text.head.lstrip()[:40]!r}), not a table; "
                "declare a feed as a source, or save the table as CSV, JSON or Parquet."
            )
        if _suffix(path) in (".json", ".jsonl", ".ndjson") or start in ("{", "["):
            yield JsonTable(text, engine)
        else:
            yield CsvTable(text, mapping.separator, mapping.quote, engine, folder)


def _suffix(path: Path) -> str | None:
    name = path.name.lower()
    inner = name.removesuffix(".gz")
    known = next((suffix for suffix in SUFFIXES if inner.endswith(suffix)), None)
    return known or (".gz" if name != inner else None)


def _resolved(path: Path, mapping: M, chosen: ArchiveFormat | None, table: Table) -> M:
    """The mapping with what the format knows, and its columns spelt as the file has them."""
    given = mapping.model_fields_set
    known = dict(chosen.mapping) if chosen else {}
    merged = mapping.model_copy(
        update={
            name: value
            for name, value in known.items()
            if name not in given and name not in mapping.constants
        }
    )
    spelt: dict[str, str | None] = {}
    lacking: dict[str, str] = {}
    for name, column in merged.columns().items():
        found = find_column(column, table.header)
        if found is None and name in known and name not in given and name not in mapping.NEEDED:
            spelt[name] = None
        elif found is None and (name in given or name in mapping.NEEDED):
            lacking[name] = column
        else:
            spelt[name] = found
    unnamed = [
        name
        for name in mapping.NEEDED
        if getattr(merged, name) is None and name not in mapping.constants
    ]
    if lacking or unnamed:
        raise ArchiveError(_lacking(path, lacking, unnamed, table.header))
    doubled = [each for each in spelt.values() if each and table.header.count(each) > 1]
    if doubled:
        raise ArchiveError(
            f"{path.name} has several columns {doubled[0]!r}; rename one, so that it is clear "
            "which is meant."
        )
    return merged.model_copy(update=spelt)


def _lacking(
    path: Path, lacking: Mapping[str, str], unnamed: list[str], header: tuple[str, ...]
) -> str:
    names = ", ".join(map(repr, sorted(lacking.values())))
    fields = ", ".join([*lacking, *unnamed])
    first = next(iter([*lacking, *unnamed]))
    shown = ", ".join(header) or "no header"
    what = f"has no column {names}; it has {shown}" if lacking else f"has {shown}"
    return (
        f"{path.name} {what}. Say which column holds {fields} (--map {first}=COLUMN), or what it "
        f"is in every row (--constant {first}=VALUE)."
    )


def _require_encoding(path: Path, readable: int, broken: pa.Table) -> None:
    foreign = [row for row in broken.to_pylist() if row["reason"] == "line is not UTF-8 text"]
    if len(foreign) * 100 > readable + broken.num_rows:
        raise ArchiveError(
            f"{path.name} is not UTF-8 text (first in line {foreign[0]['line']}: "
            f"{foreign[0]['text'][:80]!r}); declare what it is in, for example encoding=latin-1. "
            "Nothing was imported."
        )
