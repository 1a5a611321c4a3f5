"""Daily bars from a file (Parquet, CSV, JSON lines): declared mapping, bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.archive_file import ArchiveMapping, archive_rows, manifest, open_archive
from tasks.ingest.prices.validation import CANDIDATES, NO_CALENDAR, PriceRules, validate_bars
from warehouse.lake.scratch import Scratch, scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import ACTIONS, BARS, PARTITIONS, Clock, Land, PriceBatch

_NO_SPLITS = pa.Table.from_batches([], schema=ACTIONS)


class PriceMapping(ArchiveMapping):
    """Which columns of an archive mean what, and which share basis its prices are quoted in.

    `ticker` … `vendor_adj_close` name columns. `basis` is "session" for prices as traded on the
    day, or the date up to which the archive has restated splits (usually its last session).
    `date_format` is a strptime format for dates that are texts but not ISO 8601.
    """

    FIELDS = ("ticker", "session", "open", "high", "low", "close", "volume", "vendor_adj_close")

    basis: date | Literal["session"]
    ticker: str = "ticker"
    session: str = "date"
    open: str = "open"
    high: str = "high"
    low: str = "low"
    close: str = "close"
    volume: str = "volume"
    vendor_adj_close: str | None = None
    date_format: str | None = None


def read_prices(
    path: Path,
    mapping: PriceMapping,
    *,
    clock: Clock,
    land: Land,
    calendar: pa.Table = NO_CALENDAR,
    rules: PriceRules | None = None,
    batch_rows: int = 250_000,
) -> Iterator[PriceBatch]:
    """Stream the bars of a file, `batch_rows` archive rows a batch.

    The file stays where it is; its manifest lands as the payload. Rows that break a rule become
    rejects with their reason; each ticker's last good bars of a batch are the context of the next.
    With a `calendar` (session, close_ts), bars of other days are rejected too. Each batch carries
    one ledger row for each of its tickers. Raises ArchiveError when the file cannot be read, lacks
    a mapped column, or holds dates and numbers that are none.
    """
    columns = mapping.columns()
    kinds = {column: _expected_type(name) for name, column in columns.items()}
    source = open_archive(path, kinds)
    payload = manifest(path, mapping, clock())
    reader = _Reader(mapping, payload, land(payload), calendar, rules or PriceRules())
    with scratch() as engine, archive_rows(path, source, kinds, batch_rows) as batches:
        for rows in batches:
            yield reader.read(rows, engine)


@dataclass(slots=True)
class _Reader:
    """Turns archive rows into batches, remembering each ticker's last good bars."""

    mapping: PriceMapping
    payload: Payload
    payload_id: str
    calendar: pa.Table
    rules: PriceRules
    context: pa.Table = field(default_factory=BARS.empty_table)
    position: int = 0

    def read(self, rows: pa.RecordBatch, engine: Scratch) -> PriceBatch:
        candidates = self._candidates(rows)
        bars, rejects = validate_bars(
            candidates,
            _NO_SPLITS,
            self.calendar,
            self.rules,
            engine,
            source=self.mapping.source,
            now=self.payload.fetched_at,
            context=self.context,
        )
        self.position += rows.num_rows
        recent = pa.concat_tables([self.context, bars])
        self.context = engine.read("bar_context", bars=recent).cast(BARS)
        ledger = engine.read(
            "bar_archive_ledger",
            {"source": self.mapping.source, "payload_id": self.payload_id},
            bars=bars,
        )
        return PriceBatch(
            bars=bars,
            rejects=rejects,
            payloads=(self.payload,),
            requested=tuple(ledger["key"].to_pylist()),
            partitions=ledger.cast(PARTITIONS),
        )

    def _candidates(self, rows: pa.RecordBatch) -> pa.Table:
        mapped = {name: rows[column] for name, column in self.mapping.columns().items()}
        sessions = self._dates(mapped["session"])
        n_rows = rows.num_rows
        basis = self.mapping.basis
        mapped |= {
            "session": sessions,
            "position": pa.array(range(self.position, self.position + n_rows), pa.int64()),
            "basis_date": sessions if basis == "session" else pa.repeat(pa.scalar(basis), n_rows),
            "payload_id": pa.repeat(self.payload_id, n_rows),
            "agrees": pa.repeat(pa.scalar(True), n_rows),
        }
        mapped.setdefault("vendor_adj_close", pa.nulls(n_rows, pa.float64()))
        return pa.table({name: mapped[name] for name in CANDIDATES.names}).cast(CANDIDATES)

    def _dates(self, column: pa.Array) -> pa.Array:
        if self.mapping.date_format and pa.types.is_string(column.type):
            column = pc.strptime(column, self.mapping.date_format, "us")
        return column.cast(pa.date32())


def _expected_type(name: str) -> pa.DataType:
    return pa.string() if name in {"ticker", "session"} else pa.float64()
