"""The daily job: read what is new, judge what is mature, predict what comes next, show it."""

from __future__ import annotations

from datetime import timedelta

from prefect import flow

from flows.connections import clock_of, outside_world
from flows.dataset import build_dataset
from flows.desk import Desk
from flows.headline_ingest import poll_headlines
from flows.ingest import ingest
from flows.predict import predict, score
from flows.report import write_site
from flows.settings import ConfigSelection, load_settings
from flows.summary import IngestSummary
from warehouse.lake import Lake

LOOK_BACK = timedelta(days=14)


@flow(name="daily")
def daily(selection: ConfigSelection) -> IngestSummary:
    """Fill the gaps of the last two weeks, poll every feed, score, predict, write the site.

    It also runs on days without a session: news of weekends and holidays counts for the next one,
    and the prediction for it may be made as soon as there is some.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
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
