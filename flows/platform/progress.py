"""Progress of long work, told by flows and shown by whoever started them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class ProgressSink(Protocol):
    """Receives progress. `total` may be unknown; `done` never shrinks within one stage."""

    def advance(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """Say that `done` of `total` units of `stage` are finished."""


class _Silent:
    def advance(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        pass


_sink: ContextVar[ProgressSink] = ContextVar("progress_sink", default=_Silent())  # noqa: B039 - stateless


def current_sink() -> ProgressSink:
    """The sink of the running command; silent when nobody watches (a scheduled run)."""
    return _sink.get()


@contextmanager
def shown_on(sink: ProgressSink) -> Iterator[None]:
    """Send the progress of everything inside to `sink`."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)
