"""Sources looked at from outside: landed payloads read again, freshness of feeds and tickers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
from prefect import flow

from flows.connections import clock_of
from flows.platform.progress import current_sink
from flows.platform.summary import IngestSummary
from flows.publish import publish_headline_batch, publish_price_batch
from flows.settings import ConfigSelection, Settings, load_settings
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import replay_headlines
from tasks.ingest.headlines.tickers import load_aliases
from tasks.ingest.prices.replay import replay_prices
from warehouse.lake import Lake
from warehouse.storage.landing import Landing, Payload


@flow(name="replay")
def replay(selection: ConfigSelection) -> IngestSummary:
    """Read every landed payload again with today's parser; nothing is fetched.

    What reads as before changes nothing; what reads otherwise becomes a revision.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    landing = Landing.of(settings.warehouse)
    today = clock_of(settings)().date()
    summary = IngestSummary(start=today, end=today)
    sink = current_sink()
    with Lake.open(settings.warehouse) as lake:
        summary = summary.plus(_replay_prices(settings, lake, landing, summary))
        for at, feed in enumerate(settings.feeds):
            sink.advance("replay", at, len(settings.feeds), feed.name)
            summary = summary.plus(_replay_feed(settings, lake, landing, feed, summary))
        sink.advance("replay", len(settings.feeds), len(settings.feeds))
    return summary


def check_sources(settings: Settings) -> tuple[pa.Table, tuple[str, ...]]:
    """Every source and key with its freshness and last error, and what is stale in words."""
    now = clock_of(settings)()
    limit = settings.stale_after
    with Lake.open(settings.warehouse) as lake:
        table = lake.read("sources_check", {"now": now, "stale_after": limit})
    alarms = tuple(
        f"{row['source']} {row['key']}: last answered {row['last_success_at'] or 'never'}; "
        f"expected an answer within {limit}. Last error: {row['last_error'] or 'none'}."
        for row in table.to_pylist()
        if row["stale"]
    )
    return table, alarms


def _replay_prices(
    settings: Settings, lake: Lake, landing: Landing, nothing: IngestSummary
) -> IngestSummary:
    landed = lake.read("charts_landed", {"source": settings.prices.source})
    if not landed.num_rows:
        return nothing
    calendar = lake.read("sessions_of_exchange", {"exchange": settings.universe.exchange})
    batch = replay_prices(landed, landing.load, settings.prices, calendar=calendar)
    now = clock_of(settings)()
    return publish_price_batch(settings, lake, batch, "replay", (now.date(), now.date()), now)


def _replay_feed(
    settings: Settings, lake: Lake, landing: Landing, feed: FeedSpec, nothing: IngestSummary
) -> IngestSummary:
    summary = nothing
    aliases = load_aliases(settings.universe.aliases)
    for batch in replay_headlines(feed, _answers(lake, landing, feed), aliases=aliases):
        now = clock_of(settings)()
        days = (now.date(), now.date())
        name = f"replay {feed.name}"
        summary = summary.plus(publish_headline_batch(settings, lake, batch, name, days, now))
    return summary


def _answers(lake: Lake, landing: Landing, feed: FeedSpec) -> Iterator[Payload]:
    for row in lake.read("feed_answers", {"source": feed.name}).to_pylist():
        yield Payload(
            source=row["source"],
            url=row["url"],
            status=row["status"],
            headers=tuple((name, value) for name, value in json.loads(row["headers"])),
            body=landing.load(row["payload_id"]),
            fetched_at=row["fetched_at"],
        )
