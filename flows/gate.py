"""Write, audit, publish: a batch is checked, the outcome recorded, and what passed committed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from flows.settings import Settings
from flows.summary import IngestSummary
from tasks.planning import DateRange
from tasks.sources.batches import HeadlineBatch, PriceBatch
from validation.gate import check
from warehouse.lake import Lake
from warehouse.publish import publish_prices
from warehouse.publish_headlines import publish_headlines


def publish_price_batch(
    settings: Settings, lake: Lake, batch: PriceBatch, name: str, days: DateRange, now: datetime
) -> IngestSummary:
    """Publish bars and actions in one commit, and tell what that changed over `days`.

    Raises BatchRefused when an expectation fails; nothing is then published.
    """
    _audit(settings, lake, {"bars": batch.bars, "actions": batch.actions}, name, now)
    published = publish_prices(
        lake,
        bars=batch.bars,
        actions=batch.actions,
        rejects=batch.rejects,
        payloads=batch.payloads,
        partitions=batch.partitions,
        now=now,
    )
    return IngestSummary(
        start=days[0],
        end=days[1],
        bars=published.bars_added + published.bars_revised,
        actions=published.actions_added + published.actions_revised,
        quarantined=published.quarantined,
        missing=batch.missing,
    )


def publish_headline_batch(
    settings: Settings,
    lake: Lake,
    batch: HeadlineBatch,
    name: str,
    days: DateRange,
    now: datetime,
    *,
    join: bool = True,
) -> IngestSummary:
    """Publish headlines and their tickers in one commit, and tell what that changed over `days`.

    `join`: see publish_headlines. Raises BatchRefused when an expectation fails; nothing is then
    published.
    """
    tables = {"headlines": batch.headlines, "headline_tickers": batch.headline_tickers}
    _audit(settings, lake, tables, name, now)
    published = publish_headlines(
        lake,
        headlines=batch.headlines,
        headline_tickers=batch.headline_tickers,
        rejects=batch.rejects,
        payloads=batch.payloads,
        partitions=batch.partitions,
        now=now,
        join=join,
    )
    return IngestSummary(
        start=days[0],
        end=days[1],
        headlines=published.added + published.revised,
        quarantined=published.quarantined,
    )


def _audit(
    settings: Settings, lake: Lake, tables: Mapping[str, pa.Table], batch: str, now: datetime
) -> None:
    reports = [
        check(suite, table, batch=batch, checked_at=now, docs_root=settings.data_root / "data_docs")
        for suite, table in tables.items()
        if table.num_rows
    ]
    if reports:
        results = pa.concat_tables([report.results for report in reports])
        lake.transact(lambda tx: tx.upsert("checks", results, ("check_id",)))
    for report in reports:
        report.require()
