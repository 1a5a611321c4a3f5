"""The daily job: read what is new, judge what is mature, predict what comes next, show it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from prefect import flow

from flows.connections import clock_of, outside_world
from flows.dataset import build_dataset
from flows.headline_ingest import poll_headlines
from flows.ingest import ingest
from flows.ingest_context import Desk
from flows.platform.notifications import one_heartbeat
from flows.platform.parameters import Selection, Told
from flows.platform.run_states import ended, skipped
from flows.platform.runtime import named_by_start
from flows.platform.schedules import local_day, trades_on
from flows.platform.summary import IngestSummary
from flows.prediction import predict, score
from flows.report import write_site
from flows.settings import Settings, load_settings
from warehouse.lake import Lake

LOOK_BACK = timedelta(days=14)
SkipClosedDays = Annotated[
    bool, Told("End at once on days on which the exchange is closed. Schedules say yes.")
]


@flow(name="daily", flow_run_name=named_by_start, timeout_seconds=3 * 3600)
def daily(selection: Selection, skip_closed_days: SkipClosedDays = False) -> IngestSummary:
    """Fill the gaps of the last two weeks, poll every feed, score, predict, write the site.

    Started by hand it also runs on days without a session: news of weekends and holidays counts
    for the next one, and the prediction for it may be made as soon as there is some. A scheduled
    run ends there as Skipped; the next one asks for what it left. It ends as Incomplete when a
    ticker or a feed could not be had.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    now = clock_of(settings)()
    day = local_day(settings.universe.exchange, now)
    if skip_closed_days and not trades_on(settings.universe.exchange, day):
        nothing = IngestSummary(start=day, end=day)
        return skipped(nothing, f"{settings.universe.exchange} holds no session on {day:%A %x}.")
    with one_heartbeat():
        return ended(_all_of_it(selection, settings))


def _all_of_it(selection: Selection, settings: Settings) -> IngestSummary:
    today = clock_of(settings)().date()
    # The past first: an old story that a poll still shows is then known by its earlier telling.
    summary = ingest(selection, today - LOOK_BACK, today)
    with outside_world(settings) as outside, Lake.open(settings.warehouse) as lake:
        desk = Desk(settings, outside, lake)
        summary = summary.plus(poll_headlines(desk, settings.universe.tickers))
    build_dataset(selection)
    score(selection)
    predict(selection)
    write_site(selection)
    return summary
