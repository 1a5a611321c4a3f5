"""Headlines from files, whatever their layout: declared or recognised columns, bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from tasks.ingest.archive_file import Archive, ArchiveMapping, manifest, open_archive
from tasks.ingest.headlines.dates import (
    EARLIEST,
    DeclaredGranularity,
    read_date_column,
    require_zone,
)
from tasks.ingest.headlines.identity import (
    OBSERVATIONS,
    identify_headlines,
    load_aliases,
    resolve_tickers,
)
from tasks.ingest.headlines.parsing import LONGEST_SUMMARY, LONGEST_TITLE
from tasks.ingest.headlines.plain_text import clean_column
from warehouse.lake.scratch import Scratch, scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import PARTITIONS, REJECTS, Clock, HeadlineBatch, Land


class HeadlineMapping(ArchiveMapping):
    """Which columns of an archive mean what, and what its dates are worth."""

    FIELDS = ("title", "published_at", "ticker", "guid", "summary", "url")
    NEEDED = ("title", "published_at")
    ROWS = "headlines"

    title: str | None = None
    """Column of the titles; none: found by its name or format."""
    published_at: str | None = None
    """Column of the dates; none: found by its name or format."""
    ticker: str | None = None
    """Column of the tickers; a cell may hold a list, as JSON or parted by `ticker_separator`. None:
    found by its name, or names in the title."""
    guid: str | None = None
    """Column of the items' ids; none: there is none."""
    summary: str | None = None
    """Column of the summaries; none: there is none."""
    url: str | None = None
    """Column of the addresses; none: there is none."""
    ticker_separator: str | None = Field(default=None, min_length=1)
    """Mark between the tickers of a cell; none: a cell holds one, or JSON."""
    zone: str | None = None
    """IANA zone of dates that name none; none: they are rejected, but for days."""
    granularity: DeclaredGranularity = "detect"
    """What dates are good for; `detect` finds those that are days."""
    date_format: str | None = None
    """strptime format of dates that are neither ISO 8601 nor RFC 822; none: they are."""
    lag: timedelta = Field(default=timedelta(minutes=15), ge=timedelta(0))
    """How long after its stated time a headline is assumed to have been available: nobody watched
    it arrive."""
    synthetic: bool = False
    """Whether its texts are made up."""

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        return require_zone(zone)


def read_headlines(
    path: Path,
    mapping: HeadlineMapping,
    *,
    clock: Clock,
    land: Land,
    batch_rows: int = 100_000,
    aliases: pa.Table | None = None,
    day_times: Sequence[time] = (),
) -> Iterator[HeadlineBatch]:
    """Stream the headlines of a file, `batch_rows` archive rows a batch.

    The file stays where it is; what lands as payload is its manifest (name, size, sha256,
    mapping). Rows that cannot be used become rejects with their reason. Every headline is
    `asserted`: available `mapping.lag` after its stated time, or after its day is over. Without a
    ticker column, titles name their tickers by `aliases`, by default the shipped ones. `day_times`:
    as for `identify_headlines`. The last batch carries the ledger row. Raises ArchiveError when the
    file cannot be read or lacks a mapped column.
    """
    with open_headlines(path, mapping, clock=clock) as headlines:
        yield from headlines.batches(land, batch_rows, aliases, day_times)


@dataclass(frozen=True, slots=True)
class HeadlineArchive:
    """An open archive of headlines, and its batches."""

    archive: Archive[HeadlineMapping]
    payload: Payload
    engine: Scratch

    def words(self) -> dict[str, str]:
        """How the file is read."""
        return self.archive.words()

    def at(self, now: datetime) -> HeadlineArchive:
        """The same archive, imported at another moment (UTC)."""
        return replace(self, payload=replace(self.payload, fetched_at=now))

    def newest(self) -> date | None:
        """The last day the file's dates speak of, UTC; None when none can be read."""
        mapping, found = self.archive.mapping, None
        for rows in self.archive.batches(100_000, ("published_at",)):
            column = rows["published_at"]
            dated = read_date_column(column, mapping.zone, mapping.date_format, self.engine)
            last = pc.max(dated["published_at"]).as_py()
            found = max(filter(None, (found, last and last.date())), default=None)
        return found

    def batches(
        self,
        land: Land,
        batch_rows: int = 100_000,
        aliases: pa.Table | None = None,
        day_times: Sequence[time] = (),
    ) -> Iterator[HeadlineBatch]:
        """The archive's rows, validated and identified: see `read_headlines`."""
        mapping = self.archive.mapping
        known = None
        if "ticker" not in (*mapping.columns(), *mapping.constants):
            known = load_aliases() if aliases is None else aliases
        now = self.payload.fetched_at
        reader = _Reader(self.archive, self.payload, land(self.payload), now, known, day_times)
        for rows in self.archive.batches(batch_rows):
            yield reader.read(rows, self.engine)
        yield reader.closing()


@contextmanager
def open_headlines(
    path: Path, mapping: HeadlineMapping, *, clock: Clock
) -> Iterator[HeadlineArchive]:
    """Open a file of headlines. Raises ArchiveError when it cannot be read or lacks a column."""
    with scratch() as engine, open_archive(path, mapping, engine) as archive:
        yield HeadlineArchive(archive, manifest(path, archive.mapping, clock()), engine)


@dataclass(slots=True)
class _Reader:
    """Turns archive rows into batches, counting as it goes."""

    archive: Archive[HeadlineMapping]
    payload: Payload
    payload_id: str
    now: datetime
    aliases: pa.Table | None
    day_times: Sequence[time] = ()
    position: int = 0
    accepted: int = 0
    first: date | None = None
    last: date | None = None

    @property
    def mapping(self) -> HeadlineMapping:
        return self.archive.mapping

    def read(self, rows: pa.RecordBatch, engine: Scratch) -> HeadlineBatch:
        params = {
            "source": self.mapping.source,
            "payload_id": self.payload_id,
            "now": self.now,
            "earliest": EARLIEST,
            "longest_title": LONGEST_TITLE,
            "separator": self.mapping.ticker_separator,
            "lag_us": round(self.mapping.lag.total_seconds() * 1_000_000),
            "synthetic": self.mapping.synthetic,
        }
        archive_rows = self._columns(rows, engine)
        validated = engine.read("headline_validation", params, archive_rows=archive_rows)
        rejects = engine.read("headline_rejects", params, validated=validated)
        observations = engine.read("headline_observations", params, validated=validated)
        headlines, tickers = identify_headlines(
            observations.select(OBSERVATIONS.names).cast(OBSERVATIONS),
            engine,
            granularity=self.mapping.granularity,
            zone=self.mapping.zone,
            day_times=self.day_times,
        )
        told = len(pc.unique(observations["position"])) - headlines.num_rows
        self._count(headlines, rows.num_rows)
        if self.aliases is not None:
            tickers = resolve_tickers(headlines, self.aliases, engine)
        return HeadlineBatch(
            headlines=headlines,
            headline_tickers=tickers,
            rejects=rejects.cast(REJECTS),
            payloads=(self.payload,),
            edits=False,
            rows=rows.num_rows,
            repeated=told,
        )

    def closing(self) -> HeadlineBatch:
        """The ledger row of the whole file, and the lines that are no rows of a table."""
        today = self.now.date()
        row = {
            "source": self.mapping.source,
            "key": f"archive:{self.payload_id[:16]}",
            "range_start": self.first or today,
            "range_end": self.last or today,
            "state": "done",
            "rows": self.accepted,
            "payload_id": self.payload_id,
            "error": None,
        }
        return HeadlineBatch(
            rejects=self.archive.rejects("headline", self.payload_id),
            payloads=(self.payload,),
            partitions=pa.Table.from_pylist([row], schema=PARTITIONS),
            rows=self.archive.broken.num_rows,
        )

    def _columns(self, rows: pa.RecordBatch, engine: Scratch) -> pa.Table:
        mapping = self.mapping
        absent = pa.nulls(rows.num_rows, pa.string())

        def text(field: str) -> pa.Array:
            return rows[field].cast(pa.string()) if field in rows.schema.names else absent

        position = pa.array(range(self.position, self.position + rows.num_rows), pa.int64())
        dated = read_date_column(rows["published_at"], mapping.zone, mapping.date_format, engine)
        return pa.table(
            {
                "position": position,
                "title": clean_column(text("title")),
                "summary": pc.utf8_slice_codeunits(
                    clean_column(text("summary")), 0, LONGEST_SUMMARY
                ),
                "url": text("url"),
                "guid": clean_column(text("guid")),
                "ticker": text("ticker"),
                "published": text("published_at"),
                **{name: dated[name] for name in dated.column_names},
            }
        )

    def _count(self, headlines: pa.Table, seen: int) -> None:
        self.position += seen
        self.accepted += headlines.num_rows
        if headlines.num_rows:
            span = pc.min_max(headlines["published_at"]).as_py()
            days = [span["min"].date(), span["max"].date()]
            self.first = min(days[0], self.first or days[0])
            self.last = max(days[1], self.last or days[1])
