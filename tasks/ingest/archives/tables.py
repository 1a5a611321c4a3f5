"""Files as tables: a header, the lines that are no rows, and columns in batches."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.archives.formats import ArchiveError
from tasks.ingest.archives.text import (
    SEPARATORS,
    TextFile,
    blank_line_at,
    find_dialect,
    several_lines,
)
from warehouse.lake import LakeError
from warehouse.lake.scratch import Scratch

BROKEN = pa.schema(
    {"line": pa.int64(), "position": pa.int64(), "reason": pa.string(), "text": pa.string()}
)
"""One row per line of a text file that is no row of its table."""

_MENDINGS = 200
LARGEST_OBJECT = 100_000_000
"""Bytes of one JSON object around all rows; it is read whole."""
_ENVELOPES = ("results", "items", "feed", "data", "articles", "news", "headlines", "content")


class Table(Protocol):
    """A file as a table. `keys`: its header are keys of objects, which need not have them all."""

    kind: str
    header: tuple[str, ...]
    keys: bool
    notes: tuple[str, ...]

    def survey(self, columns: Sequence[str]) -> tuple[int, pa.Table]:
        """How many rows can be read, and the lines that cannot (BROKEN)."""

    def batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[list[pa.Array]]:
        """The columns of the rows in their order, at most about `batch_rows` at a time."""


class CsvTable:
    """Lines cut into cells by a separator; every cell is a text."""

    kind, keys = "delimited text", False

    def __init__(
        self,
        text: TextFile,
        separator: str | None,
        quote: str | None,
        engine: Scratch,
        folder: Path,
    ) -> None:
        self._engine, self._folder = engine, folder
        self._path = text.path
        self._dialect = dialect = find_dialect(text, separator, quote)
        self.header = dialect.header
        self._params: dict[str, Any] = {
            "skip": dialect.header_rows,
            "delimiter": dialect.separator,
            "columns": {f"c{at}": "VARCHAR" for at in range(max(dialect.cells, 1))},
            "quote": dialect.quote,
            # A sample without escapes says nothing about the rest: quotes are doubled, mostly.
            "escape": self._sniffed_escape() or dialect.quote,
        }
        named = SEPARATORS.get(dialect.separator, repr(dialect.separator))
        notes = [*text.notes, f"separator {named}"]
        notes += [f"{dialect.header_rows} header rows"] if dialect.wide else []
        self.notes = tuple(notes)

    def survey(self, columns: Sequence[str]) -> tuple[int, pa.Table]:
        mended: list[dict[str, Any]] = []
        for _ in range(_MENDINGS):
            broken = self._scanned(columns).to_pylist()
            # Such a line upsets how the reader takes the lines behind it.
            spanning = [
                row for row in broken if "quote" in row["reason"] or several_lines(row["text"])
            ]
            if not spanning:
                break
            self._own_copy()
            mended += [
                row | {"text": blank_line_at(self._path, row["position"])} for row in spanning
            ]
        else:
            raise ArchiveError(
                f"The file has quotes that do not close in more than {_MENDINGS} places (one in "
                f"line {mended[0]['line']}); declare quote=none if they are no quotes. Nothing was "
                "imported."
            )
        readable = self._engine.read("csv_readable")["readable"][0].as_py()
        for row in broken:
            if row["reason"] == "line is not UTF-8 text":
                row["text"] = self._raw(row["position"])
        rows = sorted([*mended, *broken], key=lambda row: row["position"])
        tickers = len(self._dialect.wide) or 1
        return readable * tickers, pa.Table.from_pylist(rows, schema=BROKEN)

    def batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[list[pa.Array]]:
        asking = self._asking(columns)
        for batch in self._streamed(asking, batch_rows):
            if not self._dialect.wide:
                yield [batch.column(self._place(name)) for name in columns]
                continue
            for ticker, places in self._dialect.wide:
                constant = {"Ticker": pa.repeat(ticker, batch.num_rows), "Date": batch.column("c0")}
                absent = pa.nulls(batch.num_rows, pa.string())
                yield [
                    constant[name] if name in constant
                    else batch.column(f"c{places[name]}") if name in places
                    else absent
                    for name in columns
                ]  # fmt: skip

    def _asking(self, columns: Sequence[str]) -> dict[str, Any]:
        if self._dialect.wide:
            wanted = list(self._params["columns"])
        else:
            wanted = [self._place(name) for name in columns]
        return {"path": str(self._path), "wanted": wanted, **self._params}

    def _place(self, name: str) -> str:
        return f"c{self.header.index(name)}"

    def _scanned(self, columns: Sequence[str]) -> pa.Table:
        try:
            return self._engine.scan("csv_broken", self._asking(columns))
        except LakeError as error:
            raise self._unreadable() from error

    def _streamed(self, asking: Mapping[str, Any], batch_rows: int) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._engine.stream("csv_rows", asking, batch_rows)
        except LakeError as error:
            raise self._unreadable() from error

    def _unreadable(self) -> ArchiveError:
        return ArchiveError(
            f"The file could not be read as lines of cells ({', '.join(self.notes)}); declare "
            "separator, quote or encoding. Nothing was imported."
        )

    def _sniffed_escape(self) -> str:
        asking = {
            "path": str(self._path),
            "delimiter": self._dialect.separator,
            "skip": max(self._dialect.header_rows - 1, 0),
        }
        try:
            found = self._engine.scan("csv_dialect", asking)["escape"].to_pylist()
        except LakeError:
            return ""
        return "\\" if found == ["\\"] and self._dialect.quote else ""

    def _own_copy(self) -> None:
        copy = self._folder / "mended.txt"
        if self._path != copy:
            shutil.copyfile(self._path, copy)
            self._path = copy

    def _raw(self, position: int) -> str:
        with self._path.open("rb") as file:
            file.seek(position)
            return file.readline(10_000).decode("utf-8", "backslashreplace").rstrip("\r\n")


class JsonTable:
    """Objects: one a line, in an array, or in an array inside an object; every value is a text."""

    keys = True

    def __init__(self, text: TextFile, engine: Scratch) -> None:
        self._engine, self._path, self.notes = engine, text.path, text.notes
        self._array: str | None = None
        self._outer: dict[str, None] = {}
        self._longest = min(self._path.stat().st_size + 1024, LARGEST_OBJECT)
        lines = _objects_of_lines(text.head)
        if text.head.lstrip()[:1] == "[":
            self.kind, self._rows = "JSON array", "json_array_rows"
            sample = self._sample("json_array_sample")
        elif lines and not (len(lines) == 1 and _envelope(lines[0])):
            self.kind, self._rows = "JSON lines", "json_line_rows"
            sample = lines
        else:
            self._array = self._enveloped()
            self.kind, self._rows = f"JSON, list {self._array!r}", "json_nested_rows"
            asked = {"array": _pointer(self._array), "longest": self._longest}
            sample = self._sample("json_nested_sample", **asked)
        self._inner = dict.fromkeys(key for each in sample for key in _keys(each))
        self.header = tuple(self._inner | self._outer)

    def survey(self, columns: Sequence[str]) -> tuple[int, pa.Table]:
        if self._rows == "json_line_rows":
            broken = self._scan("json_lines_broken", path=str(self._path))
            readable = self._engine.read("json_lines_readable")["readable"][0].as_py()
            return readable, broken.cast(BROKEN)
        readable = sum(len(columns[0]) for columns in self.batches(columns, 100_000))
        return readable, BROKEN.empty_table()

    def batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[list[pa.Array]]:
        inner = [name for name in columns if name in self._inner]
        outer = [name for name in columns if name not in self._inner]
        params: dict[str, Any] = {"path": str(self._path), "paths": self._pointers(inner)}
        if self._array is not None:
            params |= {"array": _pointer(self._array), "outer": self._pointers(outer)}
            params["longest"] = self._longest
            columns_read = [*inner, *outer]
        else:
            params["paths"] = self._pointers(columns)
            columns_read = list(columns)
        try:
            for batch in self._engine.stream(self._rows, params, batch_rows):
                cells = batch.column("cells")
                read = {name: pc.list_element(cells, at) for at, name in enumerate(columns_read)}
                yield [read[name] for name in columns]
        except LakeError as error:
            raise self._malformed(error) from error

    def _pointers(self, names: Sequence[str]) -> list[str]:
        return [_pointer(name, nested=name in self._dotted) for name in names]

    @property
    def _dotted(self) -> set[str]:
        return {name for name in self._inner if "." in name and name.split(".")[0] in self._inner}

    def _enveloped(self) -> str:
        asked = {"path": str(self._path), "longest": self._longest}
        keys = self._scan("json_object_keys", **asked).to_pylist()
        nested = [row["key"] for row in keys if row["nested"]]
        self._outer = {row["key"]: None for row in keys if not row["nested"]}
        known = [key for key in nested if key in _ENVELOPES]
        if len(nested) == 1 or len(known) == 1:
            return str((known if len(known) == 1 else nested)[0])
        raise ArchiveError(
            "The file is one JSON object and "
            + (
                f"holds several lists ({', '.join(nested)})"
                if nested
                else "holds no list of objects"
            )
            + "; expected one object a line, an array of objects, or an object around one array."
        )

    def _sample(self, name: str, **params: Any) -> list[dict[str, Any]]:
        found = self._scan(name, path=str(self._path), **params)["element"].to_pylist()
        objects = [json.loads(text) for text in found if text is not None]
        if not all(isinstance(each, dict) for each in objects):
            raise ArchiveError("The file is a JSON array of something else than objects.")
        return objects

    def _scan(self, name: str, **params: Any) -> pa.Table:
        try:
            return self._engine.scan(name, params)
        except LakeError as error:
            raise self._malformed(error) from error

    def _malformed(self, error: LakeError) -> ArchiveError:
        found = re.search(r"record/value (\d+)", str(error))
        if found is None and self._path.stat().st_size > LARGEST_OBJECT:
            return ArchiveError(
                f"The file holds a JSON object of more than {LARGEST_OBJECT // 1_000_000} MB; "
                "write one object a line instead. Nothing of it was imported."
            )
        where = f" at record {found[1]}" if found else ""
        return ArchiveError(
            f"The file could not be read as JSON{where}: it is malformed or cut off. Nothing of it "
            "was imported; fetch it again or mend it."
        )


class ParquetTable:
    """A Parquet file; numbers, dates and instants keep their types."""

    kind, keys = "Parquet", False
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        import pyarrow.dataset as ds  # brings pandas along, which no other command needs

        try:
            self._source = ds.dataset(path, format="parquet")
        except (pa.ArrowException, OSError) as error:
            raise ArchiveError(
                f"{path.name} could not be read as Parquet: it is damaged, cut off or another kind "
                "of file."
            ) from error
        self._path = path
        self.header = tuple(self._source.schema.names)

    def survey(self, columns: Sequence[str]) -> tuple[int, pa.Table]:
        return self._source.count_rows(), BROKEN.empty_table()

    def batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[list[pa.Array]]:
        try:
            for batch in self._source.to_batches(
                columns=list(dict.fromkeys(columns)),
                batch_size=batch_rows,
                batch_readahead=1,
                fragment_readahead=1,
            ):
                if batch.num_rows:
                    yield [_plain(batch.column(name), name) for name in columns]
        except (pa.ArrowException, OSError) as error:
            raise ArchiveError(
                f"{self._path.name} broke off: the file is damaged. What came before it stays "
                "imported; fetch it again."
            ) from error


def _plain(column: pa.Array, name: str) -> pa.Array:
    """The column in one of few types: text, number, date, instant in microseconds."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode(), name)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        texts = pc.binary_join(column.cast(pa.list_(pa.string())), '","')
        return pc.if_else(
            pc.equal(texts, ""), "[]", pc.binary_join_element_wise('["', texts, '"]', "")
        )
    if pa.types.is_date64(kind):
        return column.cast(pa.date32())
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise ArchiveError(f"The column {name!r} holds {kind}; expected texts, numbers or dates.")
    known = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_date32(kind)
    return column if known or pa.types.is_string(kind) else column.cast(pa.string())


def _objects_of_lines(head: str) -> list[dict[str, Any]]:
    """The objects among the first lines; none when no line is one by itself."""
    found = []
    for line in head.splitlines()[:100]:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def _envelope(value: Mapping[str, Any]) -> bool:
    """Whether an object is no row itself, but stands around a list of them."""
    return any(
        key in _ENVELOPES and isinstance(each, list) and each and isinstance(each[0], dict)
        for key, each in value.items()
    )


def _keys(value: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, inner in value.items():
        yield before + key
        if isinstance(inner, dict) and before.count(".") < 3:
            yield from _keys(inner, f"{before}{key}.")


def _pointer(name: str, *, nested: bool = False) -> str:
    parts = name.split(".") if nested else [name]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
