"""Ingest: land, parse, check and publish what the ledger does not have yet."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_table_artifact

from flows.connections import outside_world
from flows.headline_ingest import search_headlines
from flows.ingest_context import Desk
from flows.ledger import record_sessions
from flows.platform.parameters import FirstDay, Force, Kinds, LastDay, Selection, Tickers
from flows.platform.summary import IngestSummary
from flows.price_ingest import ingest_prices
from flows.publish import show_validation
from flows.settings import load_settings
from tasks.ingest.planning import check_range
from warehouse.lake import Lake


@flow(name="ingest", flow_run_name="ingest {start} to {end}")
def ingest(
    selection: Selection,
    start: FirstDay,
    end: LastDay,
    tickers: Tickers = None,
    what: Kinds = ("prices", "headlines"),
    force: Force = False,
) -> IngestSummary:
    """Bring the warehouse up to date for `tickers` between two dates, inclusive.

    Only ranges the ledger lacks are asked for, or all with `force`. What one ticker or feed cannot
    deliver is recorded in the ledger and told in the summary; the others go on. Raises
    PlanningError for a range that is back to front.
    """
    check_range(start, end)
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    chosen = tickers or settings.universe.tickers
    summary = IngestSummary(start=start, end=end)
    with outside_world(settings) as outside, Lake.open(settings.warehouse) as lake:
        wanted = (start, min(end, outside.clock().date()))
        desk = Desk(settings, outside, lake, force)
        record_sessions(lake, settings.universe, chosen, wanted)
        if "prices" in what:
            summary = summary.plus(ingest_prices(desk, chosen, wanted))
        if "headlines" in what:
            summary = summary.plus(search_headlines(desk, chosen, wanted))
    create_table_artifact(summary.table(), key="ingest", description=f"Ingest {start} to {end}")
    show_validation(settings, summary)
    return summary
