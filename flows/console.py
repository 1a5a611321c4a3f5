"""What commands show on a terminal: progress bars and result tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from flows.progress import shown_on

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS = 200
console = Console()


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stages: dict[str, TaskID] = {}

    def advance(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        if stage not in self._stages:
            self._stages[stage] = self._progress.add_task(stage, total=total, note=note)
        self._progress.update(self._stages[stage], completed=done, total=total, note=note)


@contextmanager
def progress_bars() -> Iterator[None]:
    """Show one bar per stage on standard error while the commands inside run."""
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress, shown_on(_Bars(progress)):
        yield


def show_table(rows: pa.Table, title: str | None = None) -> None:
    """Print an Arrow table; at most MAX_ROWS rows, and say when there are more."""
    table = Table(title=title, title_justify="left")
    for field in rows.schema:
        table.add_column(field.name, justify="right" if _is_number(field) else "left")
    for row in rows.slice(0, MAX_ROWS).to_pylist():
        table.add_row(*(_text(value) for value in row.values()))
    console.print(table)
    if rows.num_rows > MAX_ROWS:
        console.print(f"… {rows.num_rows - MAX_ROWS} more rows; add a LIMIT or an ORDER BY.")


def _is_number(field: pa.Field) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_integer(field.type) or kinds.is_floating(field.type))


def _text(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return escape(str(value))
