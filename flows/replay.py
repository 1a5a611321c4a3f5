"""Replay: every landed payload read again with today's parser."""

from __future__ import annotations

from dataclasses import replace

from flows.connections import clock_of
from flows.platform.display import IngestSummary, current_sink
from flows.platform.runtime import configured_flow
from flows.publish import publish_headline_batch, publish_price_batch
from flows.settings import Settings
from tasks.ingest.headlines.edgar import replay_filings
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import replay_headlines
from tasks.ingest.headlines.identity import load_aliases
from tasks.ingest.planning import day_times, ledger_of
from tasks.ingest.prices.replay import replay_answers, replay_prices
from tasks.ingest.prices.spec import VendorSpec
from warehouse.lake import Lake
from warehouse.storage.landing import Landing, landed_answers
from warehouse.tables.batches import ACTIONS, BARS


@configured_flow("replay")
def replay(settings: Settings) -> IngestSummary:
    """Read every landed payload again with today's parser; nothing is fetched.

    What reads as before changes nothing; what reads otherwise becomes a revision.
    """
    landing = Landing.of(settings.warehouse)
    today = clock_of(settings)().date()
    summary = IngestSummary(start=today, end=today)
    sink = current_sink()
    with Lake.open(settings.warehouse) as lake:
        summary = summary.plus(_replay_prices(settings, lake, landing, summary))
        for vendor in settings.prices.in_order:
            if vendor.kind != "yahoo":
                summary = summary.plus(_replay_vendor(settings, lake, landing, vendor, summary))
        for at, feed in enumerate(settings.feeds):
            sink.advance("replay", at, len(settings.feeds), feed.name)
            summary = summary.plus(_replay_feed(settings, lake, landing, feed, summary))
        sink.advance("replay", len(settings.feeds), len(settings.feeds))
    return summary


def _replay_prices(
    settings: Settings, lake: Lake, landing: Landing, nothing: IngestSummary
) -> IngestSummary:
    yahoo = settings.prices.yahoo
    if yahoo is None:
        return nothing
    landed = lake.read("charts_landed", {"source": yahoo.name})
    if not landed.num_rows:
        return nothing
    calendar = lake.read("sessions_of_exchange", {"exchange": settings.universe.exchange})
    batch = replay_prices(landed, landing.load, settings.prices, calendar=calendar)
    now = clock_of(settings)()
    return publish_price_batch(settings, lake, batch, "replay", (now.date(), now.date()), now)


def _replay_vendor(
    settings: Settings, lake: Lake, landing: Landing, vendor: VendorSpec, nothing: IngestSummary
) -> IngestSummary:
    """What a vendor gave becomes its reading; its bars change only where they are the ones held."""
    landed = lake.read("answers_landed", {"source": vendor.name})
    if not landed.num_rows:
        return nothing
    batch = replay_answers(
        landed,
        landing.load,
        vendor,
        settings.prices,
        calendar=lake.read("sessions_of_exchange", {"exchange": settings.universe.exchange}),
        splits=lake.read("splits_of", candidates=landed).cast(ACTIONS),
    )
    held = replace(
        batch,
        bars=lake.read("bars_of_holder", incoming=batch.bars).cast(BARS),
        actions=lake.read("actions_of_holder", incoming=batch.actions).cast(ACTIONS),
    )
    now = clock_of(settings)()
    days, name = (now.date(), now.date()), f"replay {vendor.name}"
    return publish_price_batch(settings, lake, held, name, days, now)


def _replay_feed(
    settings: Settings, lake: Lake, landing: Landing, feed: FeedSpec, nothing: IngestSummary
) -> IngestSummary:
    summary = nothing
    aliases = load_aliases(settings.universe.aliases)
    if feed.edgar is not None:
        batches = replay_filings(
            feed,
            lambda: landed_answers(lake, landing, feed.name),
            ledger_of(lake, feed.name, clock_of(settings)()).answered,
            universe=settings.universe.tickers,
            aliases=aliases,
        )
    else:
        answers = landed_answers(lake, landing, feed.name)
        known = day_times(lake, feed.source)
        batches = replay_headlines(feed, answers, aliases=aliases, day_times=known)
    for batch in batches:
        now = clock_of(settings)()
        days = (now.date(), now.date())
        name = f"replay {feed.name}"
        summary = summary.plus(publish_headline_batch(settings, lake, batch, name, days, now))
    return summary
