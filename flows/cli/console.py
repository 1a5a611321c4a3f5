"""What commands show on a terminal: progress bars and result tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from flows.platform.display import shown_on, verdict_table

if TYPE_CHECKING:
    import pyarrow as pa

    from flows.backfill import PlannedRange
    from flows.jobs import Outcome
    from flows.platform.display import IngestSummary
    from tasks.dataset.spec.manifest import DatasetManifest
    from tasks.evaluation.evaluate import Evaluation
    from tasks.ingest.archives.preview import Preview
    from tasks.training.job import FinetuneResult

MAX_ROWS = 200
LOSSES = {"completion_ce": "whole completion", "label_ce": "label tokens", "pair_ce": "up or down"}
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


class ValueRangeError(ValueError):
    """A result holds a value that Python has no type for; the message names the column."""


def show_table(rows: pa.Table, title: str | None = None) -> None:
    """Print an Arrow table; at most MAX_ROWS rows, and say when there are more.

    Raises ValueRangeError for a value such as a date of the year 290000.
    """
    table = Table(title=title, title_justify="left")
    for field in rows.schema:
        table.add_column(field.name, justify="right" if _is_number(field) else "left")
    shown = rows.slice(0, MAX_ROWS)
    columns = [_values(name, shown.column(at)) for at, name in enumerate(rows.column_names)]
    for row in zip(*columns, strict=True):
        table.add_row(*(_text(value) for value in row))
    console.print(table)
    if rows.num_rows > MAX_ROWS:
        console.print(f"… {rows.num_rows - MAX_ROWS} more rows; add a LIMIT or an ORDER BY.")


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError) as error:
        raise ValueRangeError(
            f"Column {name} holds a {column.type} that cannot be shown ({error}); expected a value "
            "that Python can hold, such as a date from year 1 to 9999. Have it as text: "
            f'"{name}"::VARCHAR.'
        ) from error


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


def show_ingest(summary: IngestSummary) -> None:
    """Print what an ingest did, what was missing and why, and what other vendors filled in."""
    console.print(
        f"{summary.start} to {summary.end}: {summary.requests:,} requests, {summary.bars:,} bars, "
        f"{summary.actions:,} actions, {summary.headlines:,} headlines, "
        f"{summary.quarantined:,} quarantined."
    )
    told = (("missing", summary.missing), ("partial", summary.partial), ("vendors", summary.notes))
    for kind, found in told:
        for key, reason in found:
            console.print(f"[yellow]{kind}[/] ", end="")
            console.print(f"{key}: {reason}", markup=False, highlight=False)
    if summary.rows:
        kept = summary.bars + summary.actions + summary.headlines
        _show_reading(summary.reading)
        _show_rows(summary.rows, kept, summary.repeated, summary.refused)
        for reason, count in sorted(summary.reasons.items()):
            console.print(f"{count:,} × {reason}", markup=False, soft_wrap=True)


def _show_reading(reading: Mapping[str, str]) -> None:
    for name, words in reading.items():
        console.print(f"{name}: {words}", markup=False, highlight=False, soft_wrap=True)


def _show_rows(rows: int, kept: int, repeated: int, refused: int) -> None:
    console.print(
        f"{rows:,} rows in the file = {kept:,} kept + {repeated:,} repeated + "
        f"{refused:,} quarantined",
        soft_wrap=True,
    )
    if rows != kept + repeated + refused:
        console.print("[red]The sums differ: please report this, with the file's first lines.[/]")


def show_preview(preview: Preview) -> None:
    """Print how a file would be read, its first rows, and what would be refused."""
    _show_reading(preview.reading)
    if preview.first is not None:
        show_table(preview.first, "first rows as read")
    _show_rows(preview.rows, preview.kept, preview.repeated, preview.refused)
    for reason, (count, example) in sorted(preview.reasons.items()):
        console.print(
            f"{count:,} × {reason}, such as {example[:300]}", markup=False, soft_wrap=True
        )
    console.print("Nothing was imported: this was a dry run.")


def run_ingest(run: Callable[[], IngestSummary]) -> None:
    """Show progress bars while an ingest runs, then what it did.

    Raises IncompleteIngestError when something was missing.
    """
    with progress_bars():
        summary = run()
    show_ingest(summary)
    summary.require_complete()


def show_dataset(manifest: DatasetManifest) -> None:
    """Print a data set's identity, its splits and what was left out."""
    table = Table(title=f"data set {manifest.dataset_id}", title_justify="left")
    for name in ("split", "rows", "up", "down", "sessions", "from", "to"):
        table.add_column(name, justify="left" if name == "split" else "right")
    for name, split in manifest.splits.items():
        span = (str(split.first_session or "–"), str(split.last_session or "–"))
        counts = (split.rows, split.up, split.rows - split.up, split.sessions)
        table.add_row(name, *(f"{count:,}" for count in counts), *span)
    console.print(table)
    for reason, rows in sorted(manifest.dropped.items()):
        console.print(f"left out: {rows:,} {reason}")


def show_model(result: FinetuneResult) -> None:
    """Print a fine-tuned model's identity and its cross-entropy before and after."""
    console.print(f"model {result.model_id} ({result.recipe_name}, seed {result.seed})")
    before, after = (result.metrics.get(f"validation_{when}", {}) for when in ("before", "after"))
    for key, name in LOSSES.items():
        if before.get(key) is not None and after.get(key) is not None:
            console.print(
                f"validation cross-entropy, {name}: {before[key]:.4f} → {after[key]:.4f} nats"
            )
    console.print(str(result.path), soft_wrap=True)


def show_verdict(outcome: Evaluation, what: str = "test split") -> None:
    """Print the verdict table, the verdict in words and what the robustness checks showed."""
    rows = verdict_table(outcome)
    table = Table(title=f"{what}, 95% intervals by sessions", title_justify="left")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), no_wrap=True)
    for row in rows:
        table.add_row(*(cell.replace(" [", "\n[", 1) for cell in row.values()))
    console.print(table)
    console.print(outcome.verdict.words)
    for note in outcome.notes:
        console.print(f"- {note}", markup=False)


def show_outcome(outcome: Outcome) -> None:
    """Print what each step of the whole job produced, and where the report is."""
    show_ingest(outcome.ingested)
    show_dataset(outcome.dataset)
    show_model(outcome.model)
    show_verdict(outcome.evaluation)
    console.print(f"report: {outcome.report}", soft_wrap=True)


def show_plan(plan: Sequence[PlannedRange]) -> None:
    """Print what a backfill would request, and an estimate of how long that takes."""
    from flows.backfill import SECONDS_PER_REQUEST

    asked, waiting = [item for item in plan if item.requests], [item for item in plan if item.waits]
    for item in waiting:
        where = f"{item.source} {item.start} to {item.end}"
        console.print(f"not yet due: {where}: {item.waits}", markup=False, highlight=False)
    if not asked:
        console.print("Nothing is due." if waiting else "Nothing is missing.")
        return
    table = Table(title="backfill plan", title_justify="left")
    for name in ("what", "source", "from", "to", "tickers", "requests"):
        table.add_column(name, justify="right" if name in {"tickers", "requests"} else "left")
    for item in asked:
        span = (str(item.start), str(item.end))
        table.add_row(item.what, item.source, *span, f"{item.keys:,}", f"{item.requests:,}")
    console.print(table)
    requests = sum(item.requests for item in asked)
    console.print(f"{requests:,} requests, about {requests * SECONDS_PER_REQUEST:,.0f} s.")


def show_record(record: Any) -> None:
    """Print a dataclass, one field a line; mappings as indented JSON."""
    for field in fields(record):
        value = getattr(record, field.name)
        text = json.dumps(value, indent=2, default=str) if isinstance(value, dict) else str(value)
        console.print(f"[bold]{field.name}[/]: ", end="")
        console.print(text, markup=False, highlight=False)
