"""Backfill: plan what is missing between two dates, request it, render what depends on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field

from flows.connections import clock_of
from flows.ingest import TICKERS_PER_TASK, ingest, search_spans
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
from flows.universe import asked as asked_of_universe
from tasks.dataset.build import refresh_examples
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.requests import feed_requests
from tasks.ingest.planning import (
    NEARBY,
    IncompleteRange,
    Ledger,
    Request,
    check_range,
    incomplete_ranges,
    ledger_of,
    plan_requests,
    plan_retries,
)
from tasks.ingest.universe import Spans
from warehouse.lake import Lake

What = Literal["prices", "headlines", "examples", "predictions"]
DEFAULT: tuple[What, ...] = ("prices", "headlines", "examples")
SECONDS_PER_REQUEST = 0.5
"""A round number for a polite client: the plan's time is an estimate."""


class BackfillError(ValueError):
    """A backfill of something that cannot be filled."""


class PlannedRange(BaseModel):
    """One range of one source that the ledger lacks, for `keys` tickers.

    `waits`: what is missing in it and when it is asked for again, if that is not now; such a range
    costs no request.
    """

    model_config = ConfigDict(frozen=True)

    what: What
    source: str
    start: date
    end: date
    keys: int
    requests: int
    waits: str | None = None


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
    wanted, prices = (start, last), settings.prices.first_source
    may = asked_of_universe(settings, tickers, wanted, clock_of(settings)().date())
    sources: list[tuple[What, str, FeedSpec | None, Spans]] = []
    if "prices" in what:
        sources.append(("prices", prices, None, may.prices))
    if "headlines" in what:
        searches = [feed for feed in settings.feeds if feed.mode == "search"]
        sources += [
            ("headlines", one.name, one, search_spans(one, may.headlines, wanted))
            for one in searches
        ]
    planned: list[PlannedRange] = []
    with Lake.open(settings.warehouse) as lake:
        now = clock_of(settings)()
        for kind, source, feed, spans in sources:
            keys = tuple(spans)
            reach = NEARBY if feed is None else 0
            ledger = Ledger() if force else ledger_of(lake, source, now, reach)
            for gap in (
                *plan_requests(keys, wanted, ledger.answered, max(len(keys), 1), spans),
                *plan_retries(keys, wanted, ledger.due, TICKERS_PER_TASK, reach),
            ):
                asked = feed_requests(feed, gap.keys, gap.start, gap.end) if feed else gap.keys
                times = 1 if feed else settings.prices.asked_for_all
                planned.append(_planned(kind, source, gap, len(asked) * times))
            if not force:
                planned += _waiting(kind, incomplete_ranges(lake, source, keys, wanted), now)
    return tuple(planned)


def _planned(what: What, source: str, gap: Request, requests: int) -> PlannedRange:
    return PlannedRange(
        what=what,
        source=source,
        start=gap.start,
        end=gap.end,
        keys=len(gap.keys),
        requests=requests,
    )


def _waiting(what: What, found: Iterable[IncompleteRange], now: datetime) -> Iterator[PlannedRange]:
    """What is missing and not due; what cannot be had any more is no part of a plan."""
    for one in found:
        if one.retry_at is not None and one.retry_at > now:
            yield PlannedRange(
                what=what,
                source=one.source,
                start=one.start,
                end=one.end,
                keys=1,
                requests=0,
                waits=f"{one.key}: {one.words}",
            )


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
