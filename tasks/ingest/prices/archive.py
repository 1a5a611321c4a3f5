"""Daily bars from a file, whatever its layout: declared or recognised columns, bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from tasks.ingest.archive_file import Archive, ArchiveMapping, manifest, open_archive
from tasks.ingest.prices.cells import (
    DAILY,
    NUMBERS,
    CellReading,
    CellSurvey,
    decide,
    survey_slice,
)
from tasks.ingest.prices.surroundings import NOTHING_KNOWN, Surroundings
from tasks.ingest.prices.validation import CANDIDATES, NO_DAYS, PriceRules, validate_bars
from warehouse.lake.scratch import Scratch, scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import BARS, PARTITIONS, REJECTS, Clock, Land, PriceBatch


class DailyMapping(ArchiveMapping):
    """How the days and numbers of an archive are written, and where its tickers trade."""

    date_format: str | None = None
    """strptime format of days; none: their usual spellings."""
    day_first: bool | None = None
    """Whether 01/02/2020 is the first of February where the column leaves it open. None: the column
    or the known format decides, or the file is refused."""
    zone: str | None = None
    """IANA zone of the clock on which instants in UTC have their date; none: the exchange's."""
    decimal: Literal[".", ","] | None = None
    """Mark before a number's fraction; none: found in the file."""
    exchange: str | None = Field(default=None, pattern=r"^[A-Z0-9]{4}$")
    """Where all of its tickers trade, an ISO 10383 code; none: where each is on record."""

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in available_timezones():
            raise ValueError(f"{zone!r} is not an IANA time zone; expected one like Europe/London")
        return zone


class PriceMapping(DailyMapping):
    """Which columns of an archive mean what, and which share basis its prices are quoted in."""

    FIELDS = (
        "ticker", "session", "open", "high", "low", "close", "volume", "vendor_adj_close", "period",
    )  # fmt: skip
    NEEDED = ("ticker", "session", "open", "high", "low", "close", "volume")
    ROWS = "prices"

    basis: date | Literal["session"]
    """`session` for prices as traded on the day, or the date up to which the archive has restated
    splits (usually its last session)."""
    ticker: str = "ticker"
    """Column of the tickers."""
    session: str = "date"
    """Column of the sessions' dates."""
    open: str = "open"
    """Column of the opening prices."""
    high: str = "high"
    """Column of the highest prices."""
    low: str = "low"
    """Column of the lowest prices."""
    close: str = "close"
    """Column of the closing prices."""
    volume: str = "volume"
    """Column of the shares traded."""
    vendor_adj_close: str | None = None
    """Column of the adjusted closes; none: there is none."""
    period: str | None = None
    """Column that says of a row that it is a day's; none: all are."""


@dataclass(frozen=True, slots=True)
class PriceArchive:
    """An open archive of bars: how its cells are read, its tickers and days, and its batches."""

    archive: Archive[PriceMapping]
    reading: CellReading
    payload: Payload
    engine: Scratch
    tickers: tuple[str, ...] = ()
    days: pa.Array = field(default_factory=lambda: pa.array([], pa.date32()))

    def words(self) -> dict[str, str]:
        """How the file is read."""
        return self.archive.words() | self.reading.words()

    def at(self, now: datetime) -> PriceArchive:
        """The same archive, imported at another moment (UTC)."""
        return replace(self, payload=replace(self.payload, fetched_at=now))

    def newest(self) -> date | None:
        """The last day the file speaks of; None when none can be read."""
        last: date | None = pc.max(self.days).as_py()
        return last

    def batches(
        self,
        land: Land,
        surroundings: Surroundings = NOTHING_KNOWN,
        rules: PriceRules | None = None,
        batch_rows: int = 250_000,
    ) -> Iterator[PriceBatch]:
        """The archive's rows, validated: see `read_prices`."""
        reader = _Reader(self, land(self.payload), surroundings, rules or PriceRules())
        for rows in self.archive.batches(batch_rows):
            yield reader.read(rows)
        if self.archive.broken.num_rows:
            yield reader.closing()


@contextmanager
def open_prices(
    path: Path, mapping: PriceMapping, *, clock: Clock, zone: str | None = None
) -> Iterator[PriceArchive]:
    """Open a file of daily bars; all of it is read once to see how its cells are written.

    `zone` is the exchange's clock, on which instants have their day unless the mapping says so.

    Raises ArchiveError when the file cannot be read, lacks a mapped column, is not of daily bars,
    or leaves open what its days or numbers mean.
    """
    with scratch() as engine, open_archive(path, mapping, engine) as archive:
        declared = archive.mapping
        survey = CellSurvey()
        tickers, days = _Distinct(), _Distinct()
        first = CellReading(date_format=declared.date_format)
        for rows in archive.batches(250_000):
            columns = dict(zip(rows.schema.names, rows.columns, strict=True))
            survey.add(survey_slice(columns, first, engine))
            tickers.add(columns["ticker"])
            days.add(columns["session"])
        reading = decide(
            survey,
            path.name,
            date_format=declared.date_format,
            day_first=declared.day_first,
            declared_day_first="day_first" in mapping.model_fields_set,
            zone=declared.zone or zone,
            decimal=declared.decimal,
        )
        payload = manifest(path, declared, clock())
        names = pc.utf8_trim_whitespace(tickers.values().cast(pa.string())).drop_null().unique()
        sessions, _ = reading.sessions(days.values(), engine)
        yield PriceArchive(
            archive, reading, payload, engine, tuple(names.to_pylist()), sessions.drop_null()
        )


def read_prices(
    path: Path,
    mapping: PriceMapping,
    *,
    clock: Clock,
    land: Land,
    calendar: pa.Table | None = None,
    surroundings: Surroundings | None = None,
    rules: PriceRules | None = None,
    zone: str | None = None,
    batch_rows: int = 250_000,
) -> Iterator[PriceBatch]:
    """Stream the bars of a file, about `batch_rows` archive rows a batch.

    The file stays where it is; its manifest lands as the payload. Rows with a cell that cannot be
    read or that break a rule become rejects with their reason; they are judged beside what the file
    gave before and beside their `surroundings`. With a `calendar` (session, close_ts) instead of
    those, all tickers are on one exchange and nothing is on record. Each batch carries one ledger
    row for each of its tickers, and the number of the archive's rows it accounts for. Raises
    ArchiveError as `open_prices` does, before the first batch.
    """
    if surroundings is None:
        surroundings = NOTHING_KNOWN if calendar is None else Surroundings("", {}, {"": calendar})
    with open_prices(path, mapping, clock=clock, zone=zone) as prices:
        yield from prices.batches(land, surroundings, rules, batch_rows)


@dataclass(slots=True)
class _Distinct:
    """The distinct values of a column, gathered slice by slice."""

    found: pa.Array | None = None

    def add(self, column: pa.Array) -> None:
        fresh = column.unique()
        if self.found is not None:
            fresh = pa.concat_arrays([self.found, fresh.cast(self.found.type)]).unique()
        self.found = fresh

    def values(self) -> pa.Array:
        return pa.array([], pa.string()) if self.found is None else self.found


@dataclass(slots=True)
class _Reader:
    """Turns archive rows into batches, remembering what the archive gave before.

    `context`: each ticker's last good bars. `seen`: ticker and session of all good bars.
    """

    source: PriceArchive
    payload_id: str
    surroundings: Surroundings
    rules: PriceRules
    context: pa.Table = field(default_factory=BARS.empty_table)
    seen: pa.Table = field(default_factory=lambda: NO_DAYS)
    position: int = 0

    def read(self, rows: pa.RecordBatch) -> PriceBatch:
        engine, mapping = self.source.engine, self.source.archive.mapping
        candidates, unreadable = self._candidates(rows)
        judged = [
            self._judged(part, calendar)
            for part, calendar in self.surroundings.by_exchange(candidates)
        ]
        bars = pa.concat_tables([BARS.empty_table(), *(good for good, _ in judged)])
        rejects = pa.concat_tables([REJECTS.empty_table(), *(bad for _, bad in judged)])
        self.position += rows.num_rows
        recent = pa.concat_tables([self.context, bars])
        self.context = engine.read("bar_context", bars=recent).cast(BARS)
        self.seen = pa.concat_tables([self.seen, bars.select(NO_DAYS.schema.names)])
        ledger = engine.read(
            "bar_archive_ledger",
            {"source": mapping.source, "payload_id": self.payload_id},
            bars=bars,
        )
        return PriceBatch(
            bars=bars,
            rejects=pa.concat_tables([unreadable, rejects]),
            payloads=(self.source.payload,),
            requested=tuple(ledger["key"].to_pylist()),
            partitions=ledger.cast(PARTITIONS),
            rows=rows.num_rows,
        )

    def _judged(self, candidates: pa.Table, calendar: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Good bars and rejects of one exchange's candidates."""
        engine = self.source.engine
        stored, splits = self.surroundings.around(candidates)
        context = engine.read("bars_context_merged", kept=self.context, stored=stored).cast(BARS)
        return validate_bars(
            candidates,
            splits,
            calendar,
            self.rules,
            engine,
            source=self.source.archive.mapping.source,
            now=self.source.payload.fetched_at,
            context=context,
            seen=self.seen,
        )

    def closing(self) -> PriceBatch:
        """The lines of the file that are no rows of a table."""
        rejects = self.source.archive.rejects("bar", self.payload_id)
        payloads = (self.source.payload,)
        return PriceBatch(rejects=rejects, payloads=payloads, rows=rejects.num_rows)

    def _candidates(self, rows: pa.RecordBatch) -> tuple[pa.Table, pa.Table]:
        """The rows as CANDIDATES, and those with a cell that cannot be read as REJECTS."""
        engine, reading = self.source.engine, self.source.reading
        cells = dict(zip(rows.schema.names, rows.columns, strict=True))
        n_rows = rows.num_rows
        sessions, odd = reading.sessions(cells["session"], engine)
        unread = pc.and_(cells["session"].is_valid(), sessions.is_null())
        reasons = _reasons(n_rows, unread, "date is not understood")
        reasons = pc.coalesce(reasons, _reasons(n_rows, odd, "time of day unlike the others'"))
        if "period" in cells:
            period = pc.utf8_lower(pc.fill_null(cells["period"].cast(pa.string()), ""))
            other = pc.invert(pc.is_in(pc.utf8_trim_whitespace(period), pa.array(DAILY)))
            reasons = pc.coalesce(reasons, _reasons(n_rows, other, "not a daily bar"))
        mapped: dict[str, pa.Array] = {
            "ticker": pc.utf8_trim_whitespace(cells["ticker"].cast(pa.string()))
        }
        for name in NUMBERS:
            if name not in cells:
                mapped[name] = pa.nulls(n_rows, pa.float64())
                continue
            mapped[name], bad = reading.numbers(cells[name], engine)
            # Split-adjusted volumes have fractions; shares are whole.
            if name == "volume":
                mapped[name] = pc.round(mapped[name], round_mode="half_up")
            reasons = pc.coalesce(reasons, _reasons(n_rows, bad, f"{name} is not a number"))
        basis = self.source.archive.mapping.basis
        mapped |= {
            "session": sessions,
            "position": pa.array(range(self.position, self.position + n_rows), pa.int64()),
            "basis_date": sessions if basis == "session" else pa.repeat(pa.scalar(basis), n_rows),
            "payload_id": pa.repeat(self.payload_id, n_rows),
            "agrees": pa.repeat(pa.scalar(True), n_rows),
        }
        candidates = pa.table({name: mapped[name] for name in CANDIDATES.names}).cast(CANDIDATES)
        if reasons.null_count == n_rows:
            return candidates, REJECTS.empty_table()
        readable = reasons.is_null()
        bad_rows = pa.Table.from_batches([rows]).append_column("reason", reasons)
        bad_rows = bad_rows.append_column("position", candidates["position"])
        return candidates.filter(readable), self._unreadable(bad_rows.filter(pc.invert(readable)))

    def _unreadable(self, rows: pa.Table) -> pa.Table:
        read = self.source.engine.read(
            "bar_unreadable",
            {"source": self.source.archive.mapping.source, "payload_id": self.payload_id},
            rows=rows,
        )
        return read.cast(REJECTS)


def _reasons(size: int, where: pa.Array, reason: str) -> pa.Array:
    return pc.if_else(where, pa.scalar(reason), pa.scalar(None, pa.string()))
