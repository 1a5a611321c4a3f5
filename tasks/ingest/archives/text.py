"""Text files as tables of texts: encoding, compression, separator and header found, or declared.

DuckDB reads the rows. What it would read in silence or not at all (a compressed file that is cut
off, two kinds of line ends, another encoding than UTF-8, a quote that swallows the lines behind it)
is put right in a copy first.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tasks.ingest.archives.formats import ArchiveError
from warehouse.storage.unpacking import UnpackedSizeError, most_unpacked

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_NAMED = {name: mark for mark, name in SEPARATORS.items()} | {"\\t": "\t", "space": " "}
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY = {b"PAR1": "Parquet", b"PK\x03\x04": "a zip file or a spreadsheet", b"%PDF": "PDF"}


@dataclass(frozen=True, slots=True)
class TextFile:
    """UTF-8 text with one kind of line end, at `path`: the file itself or a copy in `notes`."""

    path: Path
    head: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dialect:
    """How lines of a table are cut into cells, and which of them come before the rows.

    `header` names the columns. `wide` is set for a table with a column per ticker and field: the
    places of each ticker's cells, beside the place of the day.
    """

    separator: str
    quote: str
    header: tuple[str, ...]
    header_rows: int = 1
    wide: tuple[tuple[str, dict[str, int]], ...] = ()
    cells: int = 0


def is_binary(path: Path) -> str | None:
    """What a file that is no text is, by its first bytes; None for text."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((what for magic, what in _BINARY.items() if start.startswith(magic)), None)


@contextmanager
def plain_text(path: Path, encoding: str | None, folder: Path) -> Iterator[TextFile]:
    """The file as UTF-8 text; a copy in `folder` when it is compressed, encoded or ended otherwise.

    Raises ArchiveError when a compressed file is cut off or the text is not in `encoding`.
    """
    notes = []
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP
        source: BinaryIO
        with gzip.open(path) if compressed else path.open("rb") as source:  # type: ignore[assignment]
            start = source.read(4)
            found = next((name for bom, name in _BOMS if start.startswith(bom)), None)
            used = _known_encoding(encoding or found or "utf-8")
            source.seek(0)
            # Read whole here, before anything of it is copied.
            ends = _line_ends(source, most_unpacked(path.stat().st_size))
            source.seek(0)
            if compressed:
                notes.append("gzip")
            if used not in ("utf-8", "utf_8"):
                notes.append(used.replace("utf-8-sig", "UTF-8 with a byte-order mark"))
            whole = path
            if compressed or len(ends) > 1 or ends == {"\r"} or used != "utf-8":
                whole = folder / "archive.txt"
                _copy(source, whole, used)
    except UnpackedSizeError as error:
        raise ArchiveError(
            f"{path.name} unpacks to {error}, which no table does; nothing of it was imported. "
            "Unpack it yourself if it is what it should be, and import that."
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(
            f"{path.name} is a compressed file that is damaged or cut off; nothing of it was "
            "imported. Fetch it again."
        ) from error
    except UnicodeError as error:
        raise ArchiveError(
            f"{path.name} is not text in {encoding or found}; declare what it is in, for example "
            "encoding=latin-1. Nothing of it was imported."
        ) from error
    with whole.open("rb") as file:
        head = file.read(_CHUNK)
    yield TextFile(whole, head.decode("utf-8", "replace"), tuple(notes))


def find_dialect(text: TextFile, separator: str | None, quote: str | None) -> Dialect:
    """Separator (the one that cuts the first line into most cells, unless declared) and header.

    `quote` is the character around cells, or `none`; without it the first line shows it.

    A download of yfinance has three header rows: fields, tickers, and the name of the index.
    """
    lines = text.head.split("\n")[:200]
    blank = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
    lines = lines[blank:]
    separator = _NAMED.get(separator or "", separator)
    quote = "" if quote == "none" else quote
    if not lines:
        return Dialect(separator or ",", quote or '"', ())
    if quote is None:
        quote = "'" if lines[0].startswith("'") else '"'
    if separator is None:
        separator = max(SEPARATORS, key=lambda mark: len(_cut(lines[0], mark, quote)))
    first = _cut(lines[0], separator, quote)
    heads = [_cut(line, separator, quote) for line in lines[1:3]]
    wide = _wide(first, *heads) if len(heads) == 2 else ()
    if wide:
        names = dict.fromkeys(name for _, places in wide for name in places)
        header = ("Date", "Ticker", *names)
        return Dialect(separator, quote, header, blank + 3, wide, len(first))
    return Dialect(separator, quote, tuple(first), blank + 1, cells=len(first))


def blank_line_at(path: Path, position: int) -> str:
    """Overwrite the line of the file that a byte belongs to with blanks; returns what it said.

    Empty lines at that place are passed over.
    """
    with path.open("r+b") as file:
        start = _line_start(file, position)
        file.seek(start)
        line = file.readline()
        while line and not line.strip():
            start = file.tell()
            line = file.readline()
        file.seek(start)
        file.write(b"\n" * len(line))
    return line.decode("utf-8", "backslashreplace").rstrip("\r\n")


def _line_start(file: BinaryIO, position: int) -> int:
    # The reader's positions may be some bytes past the beginning, after lines it has refused.
    back = min(position, 64)
    file.seek(position - back)
    before = file.read(back)
    end = before.rfind(b"\n")
    return position if end < 0 else position - back + end + 1


def _wide(
    fields: list[str], tickers: list[str], index: list[str]
) -> tuple[tuple[str, dict[str, int]], ...]:
    if (fields[0], tickers[0]) == ("Ticker", "Price"):
        fields, tickers = tickers, fields
    if (fields[0], tickers[0]) not in (("Price", "Ticker"), ("", ""), ("Attributes", "Symbols")):
        return ()
    if index[0] not in ("Date", "Datetime") or any(cell.strip() for cell in index[1:]):
        return ()
    if not len(fields) == len(tickers) > 1 or not all(tickers[1:]):
        return ()
    places: dict[str, dict[str, int]] = {}
    for at, (name, ticker) in enumerate(zip(fields, tickers, strict=True)):
        if at:
            places.setdefault(ticker, {})[name] = at
    return tuple(places.items())


def _cut(line: str, separator: str, quote: str) -> list[str]:
    text = line.rstrip("\r")
    if len(separator) != 1:
        return text.split(separator)
    how = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    return next(csv.reader(io.StringIO(text), delimiter=separator, **how), [""])


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise ArchiveError(
            f"encoding is {name!r}; expected the name of one, such as utf-8, latin-1 or cp1252."
        ) from error
    return name.lower()


def _line_ends(source: BinaryIO, most: int) -> set[str]:
    """The kinds of line ends in the file. Raises UnpackedSizeError beyond `most` bytes."""
    ends: set[str] = set()
    last, size = b"", 0
    while chunk := source.read(_CHUNK):
        if (size := size + len(chunk)) > most:
            raise UnpackedSizeError(f"more than {most:,} bytes")
        block = last + chunk
        last = block[-1:] if block.endswith(b"\r") else b""
        block = block[: len(block) - len(last)]
        pairs = block.count(b"\r\n")
        ends |= {"\r\n"} if pairs else set()
        ends |= {"\n"} if block.count(b"\n") > pairs else set()
        ends |= {"\r"} if block.count(b"\r") > pairs else set()
    return ends | ({"\r"} if last else set())


def _copy(source: BinaryIO, target: Path, encoding: str) -> None:
    # Bytes that are no UTF-8 stay what they are: their line is refused by name, not the file.
    lenient = encoding in ("utf-8", "utf_8", "utf-8-sig")
    errors = "surrogateescape" if lenient else "strict"
    with (
        io.TextIOWrapper(source, encoding=encoding, errors=errors, newline=None) as text,
        target.open("w", encoding="utf-8", errors=errors, newline="\n") as copy,
    ):
        while part := text.read(_CHUNK):
            copy.write(part)


def several_lines(text: str) -> bool:
    """Whether a broken row spans several lines of the file."""
    return bool(re.search(r"[\r\n]", text.strip("\r\n")))
