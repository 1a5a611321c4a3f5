"""Backfill: ingest what the ledger lacks between two dates."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.ingest import Kind, ingest
from flows.settings import ConfigSelection
from flows.summary import IngestSummary


@flow(name="backfill", flow_run_name="backfill {start} to {end}")
def backfill(
    selection: ConfigSelection,
    start: date,
    end: date,
    tickers: tuple[str, ...] | None = None,
    what: tuple[Kind, ...] = ("prices", "headlines"),
) -> IngestSummary:
    """Ask every source for the missing ranges between two dates, both inclusive."""
    return ingest(selection, start, end, tickers, what)
