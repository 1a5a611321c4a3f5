"""Imports: archives somebody already has, under declared or known columns."""

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
from tasks.ingest.headlines.identity import load_aliases
from tasks.ingest.planning import day_times
from tasks.ingest.prices.actions_archive import ActionArchive, ActionMapping, open_actions
from tasks.ingest.prices.archive import PriceArchive, PriceMapping, open_prices
from tasks.ingest.prices.surroundings import (
    Surroundings,
    exchanges_of,
    require_daily,
    spoken_of,
)
from warehouse.lake import Lake, ReadSql
from warehouse.storage.landing import Landing, Payload
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
        beside, listed = _surroundings(settings, lake.read, prices)
        publish_calendars(lake, beside.calendars, spoken_of(prices.days, now.date()), now)
        for at, batch in enumerate(prices.batches(land, beside)):
            done = _publish_prices(settings, lake, batch, f"{file.name} part {at}", listed, now)
            total = done if total is None else total.plus(done)
            sink.advance(f"import {file.name}", total.bars, None, f"{total.bars:,} bars")
        return _shown(total, file, prices.words())


@configured_flow("import actions", run_name="import actions {file.name}")
def import_actions(settings: Settings, file: Path, mapping: Mapping[str, Any]) -> IngestSummary:
    """Import splits and dividends; the configuration's mapping is overridden by `mapping`."""
    columns = _mapping(ActionMapping, settings.archive.actions, mapping)
    land = Landing.of(settings.warehouse).store
    with _actions(settings, file, columns) as actions, Lake.open(settings.warehouse) as lake:
        now = actions.payload.fetched_at
        beside, _ = _surroundings(settings, lake.read, actions)
        publish_calendars(lake, beside.calendars, spoken_of(actions.days, now.date()), now)
        batch = actions.batch(land, beside)
        days = spoken_of(batch.actions["ex_date"].combine_chunks(), now.date())
        done = publish_price_batch(settings, lake, batch, file.name, days, now)
        return _shown(done, file, actions.words())


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
        beside, _ = _surroundings(settings, lake.read, prices)
        preview = Preview(prices.words(), prices.archive.rows)
        for batch in prices.batches(_unlanded, beside):
            shown = ["ticker", "session", "open", "high", "low", "close", "volume"]
            preview = preview.plus(batch.bars.select(shown), 0, batch.rejects)
        return preview


def preview_actions(settings: Settings, file: Path, mapping: Mapping[str, Any]) -> Preview:
    """How the actions of a file would be read and which refused; nothing is kept of it."""
    columns = _mapping(ActionMapping, settings.archive.actions, mapping)
    with _actions(settings, file, columns) as actions, Lake.open(settings.warehouse) as lake:
        beside, _ = _surroundings(settings, lake.read, actions)
        batch = actions.batch(_unlanded, beside)
        shown = batch.actions.select(["ticker", "ex_date", "kind", "value"])
        return Preview(actions.words(), batch.rows).plus(shown, 0, batch.rejects)


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


@contextmanager
def _prices(settings: Settings, file: Path, columns: PriceMapping) -> Iterator[PriceArchive]:
    zone = exchange_zone(columns.exchange or settings.universe.exchange)
    with open_prices(file, columns, clock=clock_of(settings), zone=zone) as prices:
        yield prices.at(archive_clock(settings, prices.newest())())


@contextmanager
def _actions(settings: Settings, file: Path, columns: ActionMapping) -> Iterator[ActionArchive]:
    zone = exchange_zone(columns.exchange or settings.universe.exchange)
    with open_actions(file, columns, clock=clock_of(settings), zone=zone) as actions:
        yield actions.at(archive_clock(settings, actions.newest())())


@contextmanager
def _headlines(
    settings: Settings, file: Path, columns: HeadlineMapping
) -> Iterator[HeadlineArchive]:
    with open_headlines(file, columns, clock=clock_of(settings)) as archive:
        newest = archive.newest() if settings.sandbox is not None else None
        yield archive.at(archive_clock(settings, newest)())


def _surroundings(
    settings: Settings, read: ReadSql, archive: PriceArchive | ActionArchive
) -> tuple[Surroundings, dict[str, str]]:
    """What the rows of a file are judged beside, and the exchange of each of its tickers.

    Raises ArchiveError for a file whose days or tickers are not of the exchange, CalendarError for
    an exchange without a calendar.
    """
    declared = archive.archive.mapping.exchange
    name = archive.payload.url.removeprefix("file:")
    usual = declared or settings.universe.exchange
    rows = read("exchanges_recorded").to_pylist()
    listed = exchanges_of(
        archive.tickers,
        usual,
        declared=declared,
        recorded={row["ticker"]: row["exchange"] for row in rows},
        file=name,
    )
    first, last = spoken_of(archive.days, archive.payload.fetched_at.date())
    calendars = {
        exchange: calendar_years(exchange, first.year, last.year)
        for exchange in sorted({usual, *listed.values()})
    }
    if isinstance(archive, PriceArchive):
        require_daily(archive.days, calendars, name)
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


IMPORTS = {
    "prices": (import_prices, preview_prices),
    "actions": (import_actions, preview_actions),
    "headlines": (import_headlines, preview_headlines),
}
"""How each kind of archive is imported, and how its import is previewed."""
