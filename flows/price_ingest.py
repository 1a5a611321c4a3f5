"""Prices: plan the requests, fetch through yfinance, check, publish."""

from __future__ import annotations

from prefect import task

from flows.ingest_context import Desk
from flows.ledger import last_finished_session
from flows.platform.progress import current_sink
from flows.platform.retrying import VENDOR_TASK
from flows.platform.summary import IngestSummary
from flows.publish import publish_price_batch
from tasks.ingest.planning import DateRange, Request
from tasks.ingest.prices.fetch import fetch_prices

TICKERS_PER_TASK = 10


def ingest_prices(desk: Desk, tickers: tuple[str, ...], wanted: DateRange) -> IngestSummary:
    """Ingest the bars and actions that the ledger lacks, up to the last finished session."""
    exchange, source = desk.settings.universe.exchange, desk.settings.prices.source
    summary = IngestSummary(start=wanted[0], end=wanted[1])
    finished = last_finished_session(desk.lake, exchange, wanted, desk.outside.clock())
    if finished is None:
        return summary
    plan = desk.plan(source, tickers, (wanted[0], finished), TICKERS_PER_TASK)
    sink = current_sink()
    for at, group in enumerate(plan):
        sink.advance("prices", at, len(plan), f"{group.keys[0]} to {group.keys[-1]}")
        with desk.turn(source, group) as missing:
            for request in missing:
                summary = summary.plus(_ingest_group(desk, request))
    sink.advance("prices", len(plan), len(plan))
    return summary


@task(
    name="prices",
    task_run_name="prices {request.keys[0]}… {request.start} to {request.end}",
    **VENDOR_TASK,
)
def _ingest_group(desk: Desk, request: Request) -> IngestSummary:
    """Fetch one group of tickers over one range and publish what passes, in one commit."""
    settings, clock = desk.settings, desk.outside.clock
    calendar = {"exchange": settings.universe.exchange}
    batch = fetch_prices(
        request.keys,
        request.start,
        request.end,
        settings.prices,
        session=desk.outside.yahoo,
        clock=clock,
        land=desk.land,
        calendar=desk.lake.read("sessions_of_exchange", calendar),
    )
    name = f"{settings.prices.source} {request.keys[0]}-{request.keys[-1]} {request.start}"
    days = (request.start, request.end)
    done = publish_price_batch(settings, desk.lake, batch, name, days, clock())
    return done.model_copy(update={"requests": len(batch.payloads)})
