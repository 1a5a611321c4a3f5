"""Headlines: search feeds fill the gaps of the past, poll feeds see the present."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.connections import Outside
from flows.gate import passed
from flows.ledger import done_ranges
from flows.progress import current_sink
from flows.settings import Settings
from flows.summary import IngestSummary
from tasks.planning import DateRange, Request, plan_requests
from tasks.sources.feed_requests import GENERAL, FeedSpec
from tasks.sources.headlines import fetch_headlines
from warehouse.lake import Lake
from warehouse.landing import Landing
from warehouse.publish_headlines import publish_headlines

TICKERS_PER_TASK = 10


def search_headlines(
    settings: Settings, outside: Outside, lake: Lake, tickers: Sequence[str], wanted: DateRange
) -> IngestSummary:
    """Ask every search feed for the days that the ledger lacks, up to the last day that is over."""
    yesterday = outside.clock().date() - timedelta(days=1)
    first, last = wanted[0], min(wanted[1], yesterday)
    summary = IngestSummary(start=first, end=wanted[1])
    if first > last:
        return summary
    plans = [
        (feed, request)
        for feed in settings.feeds
        if feed.mode == "search"
        for request in plan_requests(
            _keys(feed, tickers), (first, last), done_ranges(lake, feed.name), TICKERS_PER_TASK
        )
    ]
    return _ingest_all(settings, outside, lake, plans, summary)


def poll_headlines(
    settings: Settings, outside: Outside, lake: Lake, tickers: Sequence[str]
) -> IngestSummary:
    """Read every poll feed as it is now; what is new counts as observed at this moment."""
    today = outside.clock().date()
    plans = [
        (feed, Request(_keys(feed, tickers), today, today))
        for feed in settings.feeds
        if feed.mode == "poll"
    ]
    return _ingest_all(settings, outside, lake, plans, IngestSummary(start=today, end=today))


def _ingest_all(
    settings: Settings,
    outside: Outside,
    lake: Lake,
    plans: Sequence[tuple[FeedSpec, Request]],
    summary: IngestSummary,
) -> IngestSummary:
    sink = current_sink()
    for at, (feed, request) in enumerate(plans):
        sink.advance("headlines", at, len(plans), feed.name)
        summary = summary.plus(_ingest_group(settings, outside, lake, feed, request))
    sink.advance("headlines", len(plans), len(plans))
    return summary


@task(
    name="headlines",
    cache_policy=NO_CACHE,
    task_run_name="headlines {feed.name} {request.start} to {request.end}",
)
def _ingest_group(
    settings: Settings, outside: Outside, lake: Lake, feed: FeedSpec, request: Request
) -> IngestSummary:
    """Fetch one feed for one group of tickers and publish what passes, in one commit."""
    batch = fetch_headlines(
        feed,
        request.keys,
        request.start,
        request.end,
        client=outside.feeds,
        clock=outside.clock,
        land=Landing(Path(settings.warehouse.landing)).store,
    )
    name = f"{feed.name} {request.keys[0]}-{request.keys[-1]} {request.start}"
    tables = {"headlines": batch.headlines, "headline_tickers": batch.headline_tickers}
    passed(settings, lake, tables, name, outside.clock())
    published = publish_headlines(
        lake,
        headlines=batch.headlines,
        headline_tickers=batch.headline_tickers,
        rejects=batch.rejects,
        payloads=batch.payloads,
        partitions=batch.partitions,
        now=outside.clock(),
    )
    failed = [row for row in batch.partitions.to_pylist() if row["state"] == "failed"]
    return IngestSummary(
        start=request.start,
        end=request.end,
        requests=batch.partitions.num_rows,
        headlines=published.added + published.revised,
        quarantined=published.quarantined,
        missing=tuple((f"{feed.name} {row['key']}", row["error"]) for row in failed),
    )


def _keys(feed: FeedSpec, tickers: Sequence[str]) -> tuple[str, ...]:
    return tuple(tickers) if feed.scope == "ticker" else (GENERAL,)
