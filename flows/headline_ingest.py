"""Headlines: search feeds fill the gaps of the past, poll feeds see the present."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from prefect import task

from flows.ingest_context import Desk
from flows.platform.progress import current_sink
from flows.platform.retrying import VENDOR_TASK
from flows.platform.summary import IngestSummary
from flows.publish import publish_headline_batch
from tasks.ingest.headlines.feeds import GENERAL, FeedSpec
from tasks.ingest.headlines.fetch import fetch_headlines
from tasks.ingest.headlines.tickers import load_aliases
from tasks.ingest.planning import DateRange, Request
from warehouse.storage.http_cache import cached_answers

TICKERS_PER_TASK = 10


def search_headlines(desk: Desk, tickers: tuple[str, ...], wanted: DateRange) -> IngestSummary:
    """Ask every search feed for the days that the ledger lacks, up to the last day that is over."""
    yesterday = desk.outside.clock().date() - timedelta(days=1)
    first, last = wanted[0], min(wanted[1], yesterday)
    summary = IngestSummary(start=wanted[0], end=wanted[1])
    if first > last:
        return summary
    plans = [
        (feed, group)
        for feed in desk.settings.feeds
        if feed.mode == "search"
        for group in desk.plan(
            feed.name, search_keys(feed, tickers), (first, last), TICKERS_PER_TASK
        )
    ]
    sink = current_sink()
    for at, (feed, group) in enumerate(plans):
        sink.advance("headlines", at, len(plans), feed.name)
        with desk.turn(feed.name, group) as missing:
            for request in missing:
                summary = summary.plus(_ingest_group(desk, feed, request))
    sink.advance("headlines", len(plans), len(plans))
    return summary


def poll_headlines(desk: Desk, tickers: Sequence[str]) -> IngestSummary:
    """Read every poll feed as it is now; what is new counts as observed at this moment."""
    today = desk.outside.clock().date()
    summary = IngestSummary(start=today, end=today)
    feeds = [feed for feed in desk.settings.feeds if feed.mode == "poll"]
    sink = current_sink()
    for at, feed in enumerate(feeds):
        sink.advance("polls", at, len(feeds), feed.name)
        request = Request(search_keys(feed, tickers), today, today)
        summary = summary.plus(_ingest_group(desk, feed, request))
    sink.advance("polls", len(feeds), len(feeds))
    return summary


def search_keys(feed: FeedSpec, tickers: Sequence[str]) -> tuple[str, ...]:
    """The ledger keys of a feed: the tickers, or one key for a feed about everything."""
    return tuple(tickers) if feed.scope == "ticker" else (GENERAL,)


@task(
    name="headlines",
    task_run_name="headlines {feed.name} {request.keys[0]}… {request.start} to {request.end}",
    **VENDOR_TASK,
)
def _ingest_group(desk: Desk, feed: FeedSpec, request: Request) -> IngestSummary:
    """Fetch one feed for one group of tickers and publish what passes, in one commit."""
    clock = desk.outside.clock
    batch = fetch_headlines(
        feed,
        request.keys,
        request.start,
        request.end,
        client=desk.outside.feeds,
        clock=clock,
        land=desk.land,
        cached=cached_answers(desk.lake, desk.landing, feed.name) if feed.mode == "poll" else None,
        aliases=load_aliases(desk.settings.universe.aliases),
    )
    name = f"{feed.name} {request.keys[0]}-{request.keys[-1]} {request.start}"
    days = (request.start, request.end)
    done = publish_headline_batch(desk.settings, desk.lake, batch, name, days, clock())
    failed = [row for row in batch.partitions.to_pylist() if row["state"] == "failed"]
    missing = tuple((f"{feed.name} {row['key']}", row["error"]) for row in failed)
    return done.model_copy(update={"requests": batch.partitions.num_rows, "missing": missing})
