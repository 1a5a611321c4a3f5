"""Ingest: land, parse, validate and publish what the ledger does not have yet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial

from filelock import FileLock
from prefect import task
from prefect.artifacts import create_table_artifact

from flows.connections import Outside, clock_of, outside_world
from flows.platform.display import IngestSummary, current_sink
from flows.platform.runtime import (
    VENDOR_TASK,
    FirstDay,
    Force,
    Kinds,
    LastDay,
    Tickers,
    configured_flow,
)
from flows.publish import (
    publish_headline_batch,
    publish_price_batch,
    record_sessions,
    show_validation,
)
from flows.settings import Settings
from flows.universe import asked, record_universe
from tasks.ingest.headlines.edgar import fetch_filings
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import fetch_headlines
from tasks.ingest.headlines.gaps import with_gaps
from tasks.ingest.headlines.identity import load_aliases
from tasks.ingest.headlines.requests import GENERAL
from tasks.ingest.planning import (
    NEARBY,
    DateRange,
    Ledger,
    Request,
    check_range,
    day_times,
    first_known,
    incomplete_ranges,
    last_finished_session,
    ledger_of,
    plan_requests,
    plan_retries,
)
from tasks.ingest.prices.agreement import drift_alarms, vendors_check
from tasks.ingest.prices.fetch import fetch_prices
from tasks.ingest.prices.surroundings import Surroundings
from tasks.ingest.universe import Spans
from warehouse.lake import Lake
from warehouse.storage.landing import Landing, cached_answers

TICKERS_PER_TASK = 10
TICKERS_PER_SHORT_TASK = 100
"""Of a range of a month at most: a task and its commits take more time than so few bars."""
FIRST_DAY = date(1900, 1, 1)
"""No source has anything from before."""


@dataclass(frozen=True, slots=True)
class IngestContext:
    """Settings, outside world and warehouse of one run.

    `force`: ask again for what is done. `only_due`: ask for nothing but what is due again. `ended`:
    the first day without membership of symbols that left a dated universe.
    """

    settings: Settings
    outside: Outside
    lake: Lake
    force: bool = False
    only_due: bool = False
    ended: Mapping[str, date] = field(default_factory=dict)

    @property
    def landing(self) -> Landing:
        """Where payloads are kept as received."""
        return Landing.of(self.settings.warehouse)

    def plan(self, source: str, spans: Spans, wanted: DateRange, group_size: int) -> list[Request]:
        """The requests that `source` has not answered yet, and those that are due again."""
        keys = tuple(spans)
        reach = NEARBY if source == self.settings.prices.first_source else 0
        ledger = Ledger()
        if not self.force:
            ledger = ledger_of(self.lake, source, self.outside.clock(), reach)
        fresh = (
            [] if self.only_due else plan_requests(keys, wanted, ledger.answered, group_size, spans)
        )
        return [*fresh, *plan_retries(keys, wanted, ledger.due, group_size, reach)]

    def incomplete(self, source: str, request: Request) -> tuple[tuple[str, str], ...]:
        """What is missing now in the ranges of a request, in words."""
        found = incomplete_ranges(self.lake, source, request.keys, (request.start, request.end))
        return tuple((f"{one.key} {one.start} to {one.end}", one.words) for one in found)

    @contextmanager
    def source_lock(self, source: str, request: Request) -> Iterator[list[Request]]:
        """Wait until no other run on this machine asks `source`, then yield what is still missing.

        Two backfills and a daily run thus never ask for the same range twice.
        """
        name = re.sub(r"[^\w.-]", "_", source)
        folder = self.settings.data_root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):
            days = (request.start, request.end)
            yield self.plan(source, dict.fromkeys(request.keys, (days,)), days, len(request.keys))


@configured_flow("ingest", run_name="ingest {start} to {end}")
def ingest(
    settings: Settings,
    start: FirstDay,
    end: LastDay,
    tickers: Tickers = None,
    what: Kinds = ("prices", "headlines"),
    force: Force = False,
) -> IngestSummary:
    """Bring the warehouse up to date for `tickers` between two dates, inclusive.

    Only ranges the ledger lacks are asked for, or all with `force`; of a dated universe, each
    ticker while it was a member and the days around that which examples need. What one ticker or
    feed cannot deliver is recorded in the ledger and listed in the summary; the others go on.
    Raises PlanningError for a range that is back to front.
    """
    check_range(start, end)
    with outside_world(settings) as outside, Lake.open(settings.warehouse) as lake:
        refused = record_universe(lake, settings, outside.clock())
        summary = IngestSummary(start=start, end=end, partial=refused)
        today = outside.clock().date()
        wanted = (start, min(end, today))
        may = asked(settings, tickers, wanted, today)
        symbols = tuple(dict.fromkeys((*may.prices, *may.headlines)))
        context = IngestContext(settings, outside, lake, force, ended=may.ended)
        record_sessions(lake, settings.universe, symbols, wanted, outside.clock())
        if "prices" in what:
            summary = summary.plus(_ingest_prices(context, may.prices, wanted))
        if "headlines" in what:
            summary = summary.plus(_search_headlines(context, may.headlines, wanted))
        summary = _noting_network(context, summary)
    create_table_artifact(summary.table(), key="ingest", description=f"Ingest {start} to {end}")
    show_validation(settings, summary)
    return summary


def poll_headlines(settings: Settings) -> IngestSummary:
    """Read every poll feed as it is now; what is new counts as observed at this moment."""
    feeds = [feed for feed in settings.feeds if feed.mode == "poll"]
    sink = current_sink()
    with outside_world(settings) as outside, Lake.open(settings.warehouse) as lake:
        context, today = IngestContext(settings, outside, lake), outside.clock().date()
        summary = IngestSummary(start=today, end=today)
        known = tuple(asked(settings, None, (today, today), today).headlines)
        for at, feed in enumerate(feeds):
            sink.advance("polls", at, len(feeds), feed.name)
            keys = search_keys(feed, known)
            if not keys:  # nobody is a member of a dated universe today
                continue
            request = Request(keys, today, today)
            summary = summary.plus(_ingest_headline_group(context, feed, request))
        summary = _noting_network(context, summary)
    sink.advance("polls", len(feeds), len(feeds))
    return summary


def _noting_network(context: IngestContext, summary: IngestSummary) -> IngestSummary:
    """The summary, which says that there may be no network when nobody answered."""
    words = context.outside.hosts.words_without_network
    return summary if words is None else summary.model_copy(update={"offline": words})


def retry_missing(settings: Settings) -> IngestSummary:
    """Ask again for all that the ledger knows to be missing and whose time has come, of any age."""
    now = clock_of(settings)()
    searches = [feed.name for feed in settings.feeds if feed.mode == "search"]
    summary = IngestSummary(start=now.date(), end=now.date())
    with Lake.open(settings.warehouse) as lake:
        sources = (settings.prices.first_source, *searches)
        if not any(ledger_of(lake, name, now).due for name in sources):
            return summary
        with outside_world(settings) as outside:
            wanted = (FIRST_DAY, now.date())
            may = asked(settings, None, wanted, now.date())
            context = IngestContext(settings, outside, lake, only_due=True, ended=may.ended)
            summary = summary.plus(_ingest_prices(context, may.prices, wanted))
            summary = summary.plus(_search_headlines(context, may.headlines, wanted))
            return _noting_network(context, summary)


def tickers_per_task(wanted: DateRange) -> int:
    """How many tickers one task asks for and commits together: what a killed run asks for again."""
    short = wanted[1] - wanted[0] <= timedelta(days=31)
    return TICKERS_PER_SHORT_TASK if short else TICKERS_PER_TASK


def search_keys(feed: FeedSpec, tickers: Sequence[str]) -> tuple[str, ...]:
    """The ledger keys of a feed: the tickers, or one key for a feed about everything."""
    return tuple(tickers) if feed.scope == "ticker" else (GENERAL,)


def search_spans(feed: FeedSpec, spans: Spans, wanted: DateRange) -> Spans:
    """The same with their ranges: those of each symbol, or all that is wanted of everything."""
    return spans if feed.scope == "ticker" else {GENERAL: (wanted,)}


def _ingest_prices(context: IngestContext, spans: Spans, wanted: DateRange) -> IngestSummary:
    """Ingest the bars and actions that the ledger lacks, up to the last finished session."""
    exchange, prices = context.settings.universe.exchange, context.settings.prices
    summary, source = IngestSummary(start=wanted[0], end=wanted[1]), prices.first_source
    settled = context.outside.clock() - timedelta(seconds=prices.rules.settle_seconds)
    finished = last_finished_session(context.lake, exchange, wanted, settled)
    if finished is None:
        return summary
    plan = context.plan(source, spans, (wanted[0], finished), tickers_per_task(wanted))
    sink = current_sink()
    for at, group in enumerate(plan):
        sink.advance("prices", at, len(plan), f"{group.keys[0]} to {group.keys[-1]}")
        with context.source_lock(source, group) as missing:
            for request in missing:
                summary = summary.plus(_ingest_price_group(context, request))
    sink.advance("prices", len(plan), len(plan))
    if not plan or len(prices.vendors) == 1:
        return summary
    lately = finished - timedelta(days=2 * prices.drift_sessions + NEARBY)
    drifting = drift_alarms(vendors_check(context.lake.read, prices, lately), prices)
    return summary.model_copy(update={"partial": (*summary.partial, *drifting)})


def _search_headlines(context: IngestContext, spans: Spans, wanted: DateRange) -> IngestSummary:
    """Ask every search feed for the days that the ledger lacks, up to the last day that is over."""
    summary = IngestSummary(start=wanted[0], end=wanted[1])
    first, last = wanted[0], min(wanted[1], context.outside.clock().date() - timedelta(days=1))
    if first > last:
        return summary
    plan = [
        (feed, group)
        for feed in context.settings.feeds
        if feed.mode == "search"
        for group in context.plan(
            feed.name,
            search_spans(feed, spans, (first, last)),
            (first, last),
            tickers_per_task(wanted),
        )
    ]
    sink = current_sink()
    for at, (feed, group) in enumerate(plan):
        sink.advance("headlines", at, len(plan), feed.name)
        with context.source_lock(feed.name, group) as missing:
            for request in missing:
                summary = summary.plus(_ingest_headline_group(context, feed, request))
    sink.advance("headlines", len(plan), len(plan))
    return summary


@task(
    name="prices",
    task_run_name="prices {request.keys[0]}… {request.start} to {request.end}",
    **VENDOR_TASK,
)
def _ingest_price_group(context: IngestContext, request: Request) -> IngestSummary:
    """Fetch one group of tickers over one range and publish what passes, in one commit."""
    settings, clock = context.settings, context.outside.clock
    batch = fetch_prices(
        request.keys,
        request.start,
        request.end,
        settings.prices,
        session=context.outside.yahoo,
        clock=clock,
        land=context.landing.store,
        calendar=context.lake.read(
            "sessions_of_exchange", {"exchange": settings.universe.exchange}
        ),
        first_known=first_known(context.lake, request.keys),
        surroundings=Surroundings(read=context.lake.read),
        others=context.outside.vendors,
        ended=context.ended,
    )
    name = f"{settings.prices.first_source} {request.keys[0]}-{request.keys[-1]} {request.start}"
    days = (request.start, request.end)
    done = publish_price_batch(settings, context.lake, batch, name, days, clock())
    incomplete = (*done.partial, *context.incomplete(settings.prices.first_source, request))
    return done.model_copy(update={"requests": len(batch.payloads), "partial": incomplete})


@task(
    name="headlines",
    task_run_name="headlines {feed.name} {request.keys[0]}… {request.start} to {request.end}",
    **VENDOR_TASK,
)
def _ingest_headline_group(
    context: IngestContext, feed: FeedSpec, request: Request
) -> IngestSummary:
    """Fetch one feed for one group of tickers and publish what passes, in one commit."""
    settings, lake, clock = context.settings, context.lake, context.outside.clock
    cached = cached_answers(lake, context.landing, feed.name) if feed.mode == "poll" else None
    by_name = feed.scope == "general" or feed.edgar is not None or feed.api is not None
    if feed.edgar is not None:
        fetch = partial(fetch_filings, universe=settings.universe.tickers)
    else:
        fetch = partial(fetch_headlines, day_times=day_times(lake, feed.source))
    batch = fetch(
        feed,
        request.keys,
        request.start,
        request.end,
        client=context.outside.feeds,
        clock=clock,
        land=context.landing.store,
        cached=cached,
        aliases=load_aliases(settings.universe.aliases) if by_name else None,
    )
    batch = with_gaps(lake, feed, batch)
    name = f"{feed.name} {request.keys[0]}-{request.keys[-1]} {request.start}"
    days = (request.start, request.end)
    done = publish_headline_batch(settings, lake, batch, name, days, clock())
    failed = [row for row in batch.partitions.to_pylist() if row["state"] == "failed"]
    missing = tuple((f"{feed.name} {row['key']}", row["error"]) for row in failed)
    incomplete = tuple(
        (f"{feed.name} {key}", words) for key, words in context.incomplete(feed.name, request)
    )
    asked = len(batch.payloads) + sum(row["payload_id"] is None for row in failed)
    changed = {"requests": asked, "missing": missing, "partial": incomplete}
    return done.model_copy(update=changed)
