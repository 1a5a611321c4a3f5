"""The daily job: read what is new, bring examples up to date."""

from __future__ import annotations

from datetime import timedelta

from prefect import flow

from flows.connections import outside_world
from flows.dataset import build_dataset
from flows.headline_ingest import poll_headlines
from flows.ingest import ingest
from flows.settings import ConfigSelection, load_settings
from flows.summary import IngestSummary
from warehouse.lake import Lake

LOOK_BACK = timedelta(days=14)


@flow(name="daily")
def daily(selection: ConfigSelection) -> IngestSummary:
    """Fill the gaps of the last two weeks, poll every feed, rebuild the data set.

    On a day without a session it still ingests: news of weekends and holidays counts for the
    next session.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    with outside_world(settings) as outside, Lake.open(settings.warehouse) as lake:
        today = outside.clock().date()
        polled = poll_headlines(settings, outside, lake, settings.universe.tickers)
    summary = ingest(selection, today - LOOK_BACK, today).plus(polled)
    build_dataset(selection)
    return summary
