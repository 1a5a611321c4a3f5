"""Progress of long work, on standard error: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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

from flows.platform.display import shown_on

EVERY = 10.0
"""Seconds between two lines of one stage where nobody watches."""
_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


def choose_quiet(quiet: bool) -> None:
    """Whether this command shows no progress."""
    _quiet.set(quiet)


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stages: dict[str, TaskID] = {}

    def advance(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        if stage not in self._stages:
            self._stages[stage] = self._progress.add_task(stage, total=total, note=note)
        self._progress.update(self._stages[stage], completed=done, total=total, note=note)


class Lines:
    """A line at a stage's first word, then one every EVERY seconds, and one at its end."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float]) -> None:
        self._write, self._clock = write, clock
        self._told: dict[str, float] = {}
        self._ended: set[str] = set()

    def advance(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """Report that `done` of `total` units of `stage` are finished."""
        now, ended = self._clock(), total is not None and done >= total
        if (ended and stage in self._ended) or not (
            ended or now - self._told.get(stage, -EVERY) >= EVERY
        ):
            return
        self._told[stage] = now
        if ended:
            self._ended.add(stage)
        share = f"{done:g}" if total is None else f"{done:g} of {total:g}"
        self._write(" ".join(f"{stage}: {share} {note}".split()) + "\n")


@contextmanager
def progress_bars() -> Iterator[None]:
    """Show how far each stage is while the commands inside run."""
    shown = Console(stderr=True)
    if _quiet.get():
        yield
    elif not shown.is_terminal:
        with shown_on(Lines(sys.stderr.write, time.monotonic)):
            yield
    else:
        columns = (
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[note]}"),
        )
        with Progress(*columns, console=shown) as progress, shown_on(_Bars(progress)):
            yield
