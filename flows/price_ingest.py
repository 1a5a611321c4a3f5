"""Prices: plan the requests, fetch through yfinance, check, publish."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.connections import Outside
from flows.gate import passed
from flows.ledger import done_ranges, last_finished_session
from flows.progress import current_sink
from flows.settings import Settings
from flows.summary import IngestSummary
from tasks.planning import DateRange, Request, plan_requests
from tasks.sources.prices import fetch_prices
from warehouse.lake import Lake
from warehouse.landing import Landing
from warehouse.publish import publish_prices

TICKERS_PER_TASK = 10


def ingest_prices(
    settings: Settings, outside: Outside, lake: Lake, tickers: Sequence[str], wanted: DateRange
) -> IngestSummary:
    """Ingest the bars and actions that the ledger lacks, up to the last finished session."""
    exchange = settings.universe.exchange
    summary = IngestSummary(start=wanted[0], end=wanted[1])
    finished = last_finished_session(lake, exchange, wanted, outside.clock())
    if finished is None:
        return summary
    done = done_ranges(lake, settings.prices.source)
    plan = plan_requests(tickers, (wanted[0], finished), done, TICKERS_PER_TASK)
    sessions = lake.sql("SELECT * FROM sessions WHERE exchange = $exchange", {"exchange": exchange})
    sink = current_sink()
    for at, request in enumerate(plan):
        sink.advance("prices", at, len(plan), f"{request.keys[0]} to {request.keys[-1]}")
        summary = summary.plus(_ingest_group(settings, outside, lake, sessions, request))
    sink.advance("prices", len(plan), len(plan))
    return summary


@task(
    name="prices",
    cache_policy=NO_CACHE,
    task_run_name="prices {request.keys} {request.start} to {request.end}",
)
def _ingest_group(
    settings: Settings, outside: Outside, lake: Lake, sessions: pa.Table, request: Request
) -> IngestSummary:
    """Fetch one group of tickers over one range and publish what passes, in one commit."""
    batch = fetch_prices(
        request.keys,
        request.start,
        request.end,
        settings.prices,
        session=outside.yahoo,
        clock=outside.clock,
        land=Landing(Path(settings.warehouse.landing)).store,
        calendar=sessions,
    )
    name = f"{settings.prices.source} {request.keys[0]}-{request.keys[-1]} {request.start}"
    passed(settings, lake, {"bars": batch.bars, "actions": batch.actions}, name, outside.clock())
    published = publish_prices(
        lake,
        bars=batch.bars,
        actions=batch.actions,
        rejects=batch.rejects,
        payloads=batch.payloads,
        partitions=batch.partitions,
        now=outside.clock(),
    )
    return IngestSummary(
        start=request.start,
        end=request.end,
        requests=len(batch.payloads),
        bars=published.bars_added + published.bars_revised,
        actions=published.actions_added + published.actions_revised,
        quarantined=published.quarantined,
        missing=batch.missing,
    )
