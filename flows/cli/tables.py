"""Tables of results: text for people, each cell whole, or JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

Shape = Literal["text", "json", "csv"]
Rows = Sequence[Mapping[str, Any]]

MAX_ROWS = 200
"""Of a table on a terminal; whatever reads a pipe gets all."""
_LONG = 40
"""Characters of a cell that may be folded when a terminal is too narrow; ids are shorter."""
console = Console()
_shape: ContextVar[Shape] = ContextVar("shape", default="text")


class ValueRangeError(ValueError):
    """A result holds a value that Python has no type for; the message names the column."""


def choose_shape(shape: Shape) -> None:
    """Have the tables of this command shown so."""
    _shape.set(shape)


def shape() -> Shape:
    """How the tables of this command are shown."""
    return _shape.get()


def say(words: object, **how: Any) -> None:
    """Print prose: on standard output, or beside a table for programs on standard error."""
    target = console if _shape.get() == "text" else Console(stderr=True)
    target.print(str(words), **{"soft_wrap": not target.is_terminal, **how})


def show_table(rows: pa.Table, title: str | None = None) -> None:
    """Print an Arrow table; on a terminal at most MAX_ROWS rows, and say when there are more.

    Raises ValueRangeError for a value such as a date of the year 290000.
    """
    limit = MAX_ROWS if shape() == "text" and console.is_terminal else rows.num_rows
    shown, names = rows.slice(0, limit), rows.column_names
    columns = [_values(name, shown.column(at)) for at, name in enumerate(names)]
    _print(names, list(zip(*columns, strict=True)), title)
    if rows.num_rows > limit:
        say(f"… {rows.num_rows - limit} more rows; add a LIMIT or an ORDER BY.")


def show_rows(rows: Rows, title: str | None = None, *, break_before: str = "") -> None:
    """Print rows that share their names; on a terminal texts may go on below from there."""
    names = list(rows[0]) if rows else []
    if break_before and _shape.get() == "text" and console.is_terminal:
        below = "\n" + break_before.lstrip()
        rows = [{name: str(row[name]).replace(break_before, below) for name in row} for row in rows]
    _print(names, [tuple(row[name] for name in names) for row in rows], title)


def _print(names: Sequence[str], rows: Sequence[tuple[Any, ...]], title: str | None) -> None:
    shape = _shape.get()
    if shape == "json":
        # Of two columns of one name the last would stay alone; both are there in the other shapes.
        listed = [dict(zip(_distinct(names), row, strict=True)) for row in rows]
        sys.stdout.write(json.dumps(listed, default=str, ensure_ascii=False) + "\n")
    elif shape == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(value) for value in row] for row in rows)
    else:
        _print_text(names, rows, title)


def _print_text(names: Sequence[str], rows: Sequence[tuple[Any, ...]], title: str | None) -> None:
    if not rows:
        console.print(f"{title or 'rows'}: none", highlight=False)
        return
    table = Table(title=title, title_justify="left")
    cells = [[_text(value) for value in row] for row in rows]
    for at, name in enumerate(names):
        of_numbers = any(_is_number(row[at]) for row in rows)
        whole = max((len(row[at]) for row in cells), default=0) <= _LONG
        table.add_column(
            name, justify="right" if of_numbers else "left", no_wrap=whole, overflow="fold"
        )
    for row in cells:
        table.add_row(*row)
    with _wide_enough(table):
        console.print(table)


@contextmanager
def _wide_enough(table: Table) -> Iterator[None]:
    """In a pipe there is no width to keep to: a row is a line, and nothing is cut."""
    before = console.width
    if not console.is_terminal:
        wanted = Measurement.get(console, console.options.update(max_width=100_000), table).maximum
        console.width = max(before, wanted)
    try:
        yield
    finally:
        console.width = before


def _distinct(names: Sequence[str]) -> list[str]:
    return [
        name if names.index(name) == at else f"{name}_{names[:at].count(name) + 1}"
        for at, name in enumerate(names)
    ]


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError) as error:
        raise ValueRangeError(
            f"Column {name} holds a {column.type} that cannot be shown ({error}); expected a value "
            "that Python can hold, such as a date from year 1 to 9999. Have it as text: "
            f'"{name}"::VARCHAR.'
        ) from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> object:
    nested = isinstance(value, list | dict)
    return json.dumps(value, default=str, ensure_ascii=False) if nested else value


def _text(value: object) -> str:
    from rich.markup import escape

    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return escape(str(value))
