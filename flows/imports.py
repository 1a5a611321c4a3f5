"""Imports: archives somebody already has under a declared mapping, and landed payloads replayed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.compute as pc
from prefect.artifacts import create_table_artifact
from pydantic import BaseModel, ValidationError

from flows.connections import archive_clock, clock_of
from flows.platform.display import IngestSummary, current_sink
from flows.platform.runtime import configured_flow
from flows.publish import (
    publish_calendars,
    publish_headline_batch,
    publish_price_batch,
    record_sessions,
)
from flows.settings import ConfigurationError, Settings
from tasks.dataset.spec.clock import calendar_years, exchange_zone
from tasks.ingest.archives.preview import Preview
from tasks.ingest.headlines.archive import HeadlineArchive, HeadlineMapping, open_headlines
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import replay_headlines
from tasks.ingest.headlines.identity import load_aliases
from tasks.ingest.planning import day_times
from tasks.ingest.prices.archive import PriceArchive, PriceMapping, open_prices
from tasks.ingest.prices.replay import replay_prices
from tasks.ingest.prices.surroundings import (
    Surroundings,
    exchanges_of,
    require_daily,
    spoken_of,
)
from warehouse.lake import Lake, ReadSql
from warehouse.storage.landing import Landing, Payload, landed_answers
from warehouse.tables.batches import HeadlineBatch, PriceBatch
from warehouse.tables.headlines import join_stories

M = TypeVar("M", bound=BaseModel)


@configured_flow("import prices", run_name="import prices {file.name}")
def import_prices(settings: Settings, file: Path, mapping: Mapping[str, Any]) -> IngestSummary:
    """Import daily bars; the mapping of the configuration is overridden by `mapping`."""
    columns = _mapping(PriceMapping, settings.archive.prices, mapping)
    land = Landing.of(settings.warehouse).store
    sink = current_sink()
    total = None
    with _prices(settings, file, columns) as prices, Lake.open(settings.warehouse) as lake:
        now = prices.payload.fetched_at
        beside, listed = _surroundings(settings, lake.read, prices, columns)
        publish_calendars(lake, beside.calendars, spoken_of(prices.days, now.date()), now)
        for at, batch in enumerate(prices.batches(land, beside)):
            done = _publish_prices(settings, lake, batch, f"{file.name} part {at}", listed, now)
            total = done if total is None else total.plus(done)
            sink.advance(f"import {file.name}", total.bars, None, f"{total.bars:,} bars")
        return _shown(total, file, prices.words())


@configured_flow("import headlines", run_name="import headlines {file.name}")
def import_headlines(settings: Settings, file: Path, mapping: Mapping[str, Any]) -> IngestSummary:
    """Import dated headlines; the mapping of the configuration is overridden by `mapping`."""
    columns = _mapping(HeadlineMapping, settings.archive.headlines, mapping)
    land = Landing.of(settings.warehouse).store
    aliases = load_aliases(settings.universe.aliases)
    sink = current_sink()
    total = None
    with _headlines(settings, file, columns) as archive, Lake.open(settings.warehouse) as lake:
        now = archive.payload.fetched_at
        known = day_times(lake, archive.archive.mapping.source)
        for at, batch in enumerate(archive.batches(land, aliases=aliases, day_times=known)):
            done = _publish_headlines(settings, lake, batch, f"{file.name} part {at}", now)
            total = done if total is None else total.plus(done)
            sink.advance(f"import {file.name}", total.headlines, None)
        return _shown(total, file, archive.words())


def preview_prices(settings: Settings, file: Path, mapping: Mapping[str, Any]) -> Preview:
    """How the bars of a file would be read and which refused; nothing is landed or published."""
    columns = _mapping(PriceMapping, settings.archive.prices, mapping)
    with _prices(settings, file, columns) as prices, Lake.open(settings.warehouse) as lake:
        beside, _ = _surroundings(settings, lake.read, prices, columns)
        preview = Preview(prices.words(), prices.archive.rows)
        for batch in prices.batches(_unlanded, beside):
            shown = ["ticker", "session", "open", "high", "low", "close", "volume"]
            preview = preview.plus(batch.bars.select(shown), 0, batch.rejects)
        return preview


def preview_headlines(settings: Settings, file: Path, mapping: Mapping[str, Any]) -> Preview:
    """How the headlines of a file would be read and which refused; nothing is kept of it."""
    columns = _mapping(HeadlineMapping, settings.archive.headlines, mapping)
    aliases = load_aliases(settings.universe.aliases)
    with _headlines(settings, file, columns) as headlines:
        preview = Preview(headlines.words(), headlines.archive.rows)
        for batch in headlines.batches(_unlanded, aliases=aliases):
            shown = batch.headlines.select(["published_at", "granularity", "available_at", "title"])
            preview = preview.plus(shown, batch.repeated, batch.rejects)
        return preview


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
        for at, feed in enumerate(settings.feeds):
            sink.advance("replay", at, len(settings.feeds), feed.name)
            summary = summary.plus(_replay_feed(settings, lake, landing, feed, summary))
        sink.advance("replay", len(settings.feeds), len(settings.feeds))
    return summary


@contextmanager
def _prices(settings: Settings, file: Path, columns: PriceMapping) -> Iterator[PriceArchive]:
    zone = exchange_zone(columns.exchange or settings.universe.exchange)
    with open_prices(file, columns, clock=clock_of(settings), zone=zone) as prices:
        yield prices.at(archive_clock(settings, prices.newest())())


@contextmanager
def _headlines(
    settings: Settings, file: Path, columns: HeadlineMapping
) -> Iterator[HeadlineArchive]:
    with open_headlines(file, columns, clock=clock_of(settings)) as archive:
        newest = archive.newest() if settings.sandbox is not None else None
        yield archive.at(archive_clock(settings, newest)())


def _surroundings(
    settings: Settings, read: ReadSql, prices: PriceArchive, mapping: PriceMapping
) -> tuple[Surroundings, dict[str, str]]:
    """What the bars of a file are judged beside, and the exchange of each of its tickers.

    Raises ArchiveError for a file whose days or tickers are not of the exchange, CalendarError for
    an exchange without a calendar.
    """
    name = prices.payload.url.removeprefix("file:")
    usual = mapping.exchange or settings.universe.exchange
    rows = read("exchanges_recorded").to_pylist()
    listed = exchanges_of(
        prices.tickers,
        usual,
        declared=mapping.exchange,
        recorded={row["ticker"]: row["exchange"] for row in rows},
        file=name,
    )
    first, last = spoken_of(prices.days, prices.payload.fetched_at.date())
    calendars = {
        exchange: calendar_years(exchange, first.year, last.year)
        for exchange in sorted({usual, *listed.values()})
    }
    require_daily(prices.days, calendars, name)
    elsewhere = {ticker: place for ticker, place in listed.items() if place != usual}
    return Surroundings(usual, elsewhere, calendars, read), listed


def _publish_prices(
    settings: Settings,
    lake: Lake,
    batch: PriceBatch,
    name: str,
    listed: Mapping[str, str],
    now: datetime,
) -> IngestSummary:
    span = pc.min_max(batch.bars["session"]).as_py()
    days = (span["min"] or now.date(), span["max"] or now.date())
    done = publish_price_batch(settings, lake, batch, name, days, now)
    if batch.bars.num_rows:
        tickers = pc.unique(batch.bars["ticker"]).to_pylist()
        record_sessions(lake, settings.universe, tickers, days, now, listed)
    return done


def _publish_headlines(
    settings: Settings, lake: Lake, batch: HeadlineBatch, name: str, now: datetime
) -> IngestSummary:
    for span in batch.partitions.to_pylist():
        # The ledger row closes the file: all its headlines are stored, and stories join once.
        first = datetime.combine(span["range_start"], time.min, UTC)
        join_stories(lake, first, datetime.combine(span["range_end"], time.max, UTC))
    span = pc.min_max(batch.headlines["published_at"]).as_py()
    days = ((span["min"] or now).date(), (span["max"] or now).date())
    return publish_headline_batch(settings, lake, batch, name, days, now, join=False)


def _unlanded(payload: Payload) -> str:
    return payload.payload_id


def _mapping(kind: type[M], configured: M | None, given: Mapping[str, Any]) -> M:
    known = configured.model_dump(exclude_unset=True) if configured else {}
    try:
        return kind.model_validate({**known, **given})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'mapping'}: {detail['msg']}"
            for detail in error.errors()
        )
        raise ConfigurationError(
            f"The column mapping for this import is not usable: {problems}. Give it with --map "
            "FIELD=COLUMN, or in [archive] of newsvane.toml; docs/how-to/import.md lists "
            "the fields. Nothing was imported."
        ) from error


def _shown(total: IngestSummary | None, file: Path, reading: Mapping[str, str]) -> IngestSummary:
    if total is None:
        raise ConfigurationError(f"{file} holds no rows; expected at least one. Nothing to import.")
    total = total.model_copy(update={"reading": dict(reading)})
    create_table_artifact(total.table(), key="import", description=f"Import of {file.name}")
    return total


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
    answers = landed_answers(lake, landing, feed.name)
    known = day_times(lake, feed.source)
    for batch in replay_headlines(feed, answers, aliases=aliases, day_times=known):
        now = clock_of(settings)()
        days = (now.date(), now.date())
        name = f"replay {feed.name}"
        summary = summary.plus(publish_headline_batch(settings, lake, batch, name, days, now))
    return summary
