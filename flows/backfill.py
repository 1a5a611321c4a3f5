"""Backfill: plan what is missing between two dates, request it, render what depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field

from flows.connections import clock_of
from flows.ingest import ingest, search_keys
from flows.platform.display import IngestSummary
from flows.platform.notifications import one_heartbeat
from flows.platform.runtime import (
    Described,
    FirstDay,
    Force,
    LastDay,
    Tickers,
    configured_flow,
    ended,
)
from flows.prediction import backtest
from flows.settings import Settings
from tasks.dataset.build import refresh_examples
from tasks.ingest.headlines.feeds import feed_requests
from tasks.ingest.planning import Request, check_range, done_ranges, plan_requests
from warehouse.lake import Lake

What = Literal["prices", "headlines", "examples", "predictions"]
DEFAULT: tuple[What, ...] = ("prices", "headlines", "examples")
SECONDS_PER_REQUEST = 0.5
"""A round number for a polite client: the plan's time is an estimate."""


class BackfillError(ValueError):
    """A backfill of something that cannot be filled."""


class PlannedRange(BaseModel):
    """One range of one source that the ledger lacks, for `keys` tickers."""

    model_config = ConfigDict(frozen=True)

    what: What
    source: str
    start: date
    end: date
    keys: int
    requests: int


def wanted_kinds(names: Sequence[str] | None) -> tuple[What, ...]:
    """The kinds named on a command line, commas allowed. Raises BackfillError."""
    words = [word for name in names or () for word in name.split(",") if word]
    unknown = [word for word in words if word not in get_args(What)]
    if unknown:
        raise BackfillError(
            f"--what got {', '.join(unknown)}; expected any of {', '.join(get_args(What))}."
        )
    return tuple(cast(What, word) for word in words) or DEFAULT


def plan_backfill(
    settings: Settings,
    start: date,
    end: date,
    tickers: tuple[str, ...] | None,
    what: tuple[What, ...],
    *,
    force: bool,
) -> tuple[PlannedRange, ...]:
    """What would be requested, by source and range; nothing is fetched."""
    check_range(start, end)
    last = min(end, clock_of(settings)().date() - timedelta(days=1))
    if last < start:
        return ()
    chosen = tickers or settings.universe.tickers
    planned: list[PlannedRange] = []
    with Lake.open(settings.warehouse) as lake:
        if "prices" in what:
            done = {} if force else done_ranges(lake, settings.prices.source)
            for gap in plan_requests(chosen, (start, last), done, len(chosen)):
                count = len(gap.keys)
                planned.append(_planned("prices", settings.prices.source, gap, count, count))
        for feed in settings.feeds if "headlines" in what else ():
            if feed.mode == "search":
                done = {} if force else done_ranges(lake, feed.name)
                for gap in plan_requests(search_keys(feed, chosen), (start, last), done, 10_000):
                    requests = len(feed_requests(feed, gap.keys, gap.start, gap.end))
                    planned.append(_planned("headlines", feed.name, gap, len(gap.keys), requests))
    return tuple(planned)


@configured_flow("backfill", run_name="backfill {start} to {end}", hours=7 * 24)
def backfill(
    settings: Settings,
    start: FirstDay,
    end: LastDay,
    tickers: Tickers = None,
    what: Annotated[
        tuple[What, ...],
        Field(min_length=1),
        Described("What to fill in; predictions are marked as a back-test."),
    ] = DEFAULT,
    force: Force = False,
) -> IngestSummary:
    """Request the missing ranges between two dates, both inclusive, from every source.

    Each group of tickers is published in one commit and noted in the ledger, so a killed backfill
    goes on where it stopped. `force` requests again what is done; equal answers change nothing.
    Afterwards examples that the new data touch are rendered again, and with `predictions` the
    newest model scores the examples of the range as a back-test. Raises PlanningError for a range
    that is back to front. Ends as Incomplete when a ticker or a feed could not be had.
    """
    check_range(start, end)
    kinds = tuple(kind for kind in ("prices", "headlines") if kind in what)
    summary = IngestSummary(start=start, end=end)
    if kinds:
        with one_heartbeat():
            summary = ingest(settings.selection, start, end, tickers, kinds, force)
    if "examples" in what or "predictions" in what:
        with Lake.open(settings.warehouse) as lake:
            refresh_examples(lake, settings.dataset, now=clock_of(settings)())
    if "predictions" in what:
        backtest(settings, (start, end))
    return ended(summary)


def _planned(what: What, source: str, gap: Request, keys: int, requests: int) -> PlannedRange:
    return PlannedRange(
        what=what, source=source, start=gap.start, end=gap.end, keys=keys, requests=requests
    )
