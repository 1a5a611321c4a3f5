"""Rows of the user's own columns, from a file or a query, validated as one batch."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.archive_file import Archive, ArchiveError, ArchiveMapping, manifest, open_archive
from tasks.ingest.features.spec import NUMBER, TEXT, FeatureSource
from tasks.ingest.headlines.dates import EARLIEST, read_date_column
from tasks.ingest.headlines.plain_text import clean_column
from warehouse.lake import LakeError
from warehouse.lake.query import query_file
from warehouse.lake.scratch import Scratch, scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import FEATURES, REJECTS, Clock, FeatureBatch, Land

_BATCH_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class FeatureArchive:
    """An open source of features: how it is read, and its rows as one batch."""

    source: FeatureSource
    archive: Archive[ArchiveMapping]
    payload: Payload
    engine: Scratch
    cells: pa.Table

    def words(self) -> dict[str, str]:
        """How the file is read."""
        found = self.archive.words()
        granularity = self.source.granularity
        dated = "days and instants" if granularity == "detect" else f"declared as {granularity}s"
        asked = {"query": self.source.query} if self.source.query else {}
        del found["format"]
        return {**found, **asked, "known_at": f"{dated}, zone {self.source.zone or 'as written'}"}

    def at(self, now: datetime) -> FeatureArchive:
        """The same archive, imported at another moment (UTC)."""
        return replace(self, payload=replace(self.payload, fetched_at=now))

    def newest(self) -> date | None:
        """The last day the stamps speak of, UTC; None when none can be read."""
        last: datetime | None = pc.max(self.cells["known_at"]).as_py()
        return None if last is None else last.date()

    def batch(self, land: Land, tickers: Collection[str]) -> FeatureBatch:
        """The rows, validated: of a known one of `tickers`, dated by an instant or a day, finite.

        Empty cells are kept: they say that the value was not known. A row with a bad cell is
        rejected whole, and so are rows that give one ticker and instant different values.
        """
        source, payload_id = self.source, land(self.payload)
        params = {
            "feature_set": source.name,
            "source": self.archive.mapping.source,
            "payload_id": payload_id,
            "now": self.payload.fetched_at,
            "earliest": EARLIEST,
            "tickers": None if source.ticker is None else sorted(tickers),
            "granularity": source.granularity,
            "zone": source.zone,
            "lag_us": round(source.lag.total_seconds() * 1_000_000),
        }
        validated = self.engine.read("features_validated", params, cells=self.cells)
        usable = self.engine.read("features_usable", params, validated=validated)
        rejects = self.engine.read("features_rejects", params, validated=validated)
        columns = len(source.columns)
        kept = usable.num_rows // columns
        return FeatureBatch(
            features=usable.select(FEATURES.names).cast(FEATURES),
            rejects=pa.concat_tables(
                [rejects.cast(REJECTS), self.archive.rejects("feature", payload_id)]
            ),
            payloads=(self.payload,),
            rows=self.archive.rows,
            kept=kept,
            repeated=validated.num_rows // columns - rejects.num_rows - kept,
        )


def as_rows(features: pa.Table, source: FeatureSource) -> pa.Table:
    """One row per ticker and known_at of a batch's values: when it is available, and each column.

    `features`: in the order of a batch, in which every column has the same rows.
    """
    of_name = {name: features.filter(pc.field("name") == name) for name in source.columns}
    rows = of_name[source.columns[0]].select(["ticker", "known_at", "available_at"])
    for name, values in of_name.items():
        kind = "number" if name in source.values else "text"
        rows = rows.append_column(name, values[kind])
    return rows


@contextmanager
def open_features(source: FeatureSource, *, clock: Clock) -> Iterator[FeatureArchive]:
    """Open a feature source; it is read into memory, a value a row.

    The file stays where it is; what lands is its manifest, or that of the query's rows. Raises
    ArchiveError when it cannot be read, its query fails, or a column is not there.
    """
    with TemporaryDirectory(prefix="newsvane-query-") as folder, scratch() as engine:
        path = _queried(source, Path(folder)) if source.query else source.file
        with open_archive(path, source.mapping, engine) as archive:
            yield FeatureArchive(
                source,
                archive,
                _manifest(source, path, archive.mapping, clock),
                engine,
                _cells(source, archive, engine),
            )


def _queried(source: FeatureSource, folder: Path) -> Path:
    target = folder / f"{source.name}.parquet"
    if not source.file.is_file():
        raise ArchiveError(
            f"{source.file} does not exist; expected the database or file that the query of "
            f"features {source.name!r} reads. Nothing was imported."
        )
    try:
        query_file(source.file, source.query or "", target)
    except (LakeError, OSError) as error:
        raise ArchiveError(
            f"The rows of features {source.name!r} could not be read from {source.file.name}: "
            f"{str(error).rstrip('.')}. Correct query in [[features]] of newsvane.toml; nothing "
            "was imported."
        ) from error
    return target


def _manifest(source: FeatureSource, path: Path, mapping: ArchiveMapping, clock: Clock) -> Payload:
    """The payload that stands for the rows: with how they were asked for and dated."""
    landed = manifest(path, mapping, clock())
    asked = source.model_dump(
        mode="json", include={"query", "zone", "granularity", "date_format", "lag"}
    )
    body = {**json.loads(landed.body), **asked, "file": source.file.name}
    text = json.dumps(body, sort_keys=True).encode()
    return replace(landed, body=text, url=f"file:{source.file.name}")


def _cells(source: FeatureSource, archive: Archive[ArchiveMapping], engine: Scratch) -> pa.Table:
    """One row per archive row and column: the cell, its number or text, and the row's time."""
    parts, position = [], 0
    for rows in archive.batches(_BATCH_ROWS):
        size = rows.num_rows
        dated = read_date_column(rows["known_at"], source.zone, source.date_format, engine)
        shared = {
            "position": pa.array(range(position, position + size), pa.int64()),
            "ticker": _texts(rows["ticker"]) if source.ticker else pa.nulls(size, pa.string()),
            "written": _texts(rows["known_at"]),
            "known_at": dated["published_at"],
            **{name: dated[name] for name in ("granularity", "day", "refusal")},
        }
        for place, name in enumerate(source.columns):
            cell = rows[(NUMBER if name in source.values else TEXT) + name]
            number, text, bad = _value(cell, source, engine, numeric=name in source.values)
            own = {"place": pa.repeat(place, size), "name": pa.repeat(name, size)}
            own |= {"cell": _texts(cell), "number": number, "text": text, "bad": bad}
            parts.append(pa.table({**shared, **own}))
        position += size
    return pa.concat_tables(parts)


def _value(
    cell: pa.Array, source: FeatureSource, engine: Scratch, *, numeric: bool
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """The cells as finite numbers or as texts, NULL where empty; and which are neither."""
    size = len(cell)
    if not numeric:
        text = clean_column(_texts(cell))
        empty = pc.fill_null(pc.equal(text, ""), True)
        return (
            pa.nulls(size, pa.float64()),
            pc.if_else(empty, None, text),
            pa.repeat(pa.scalar(False), size),
        )
    if pa.types.is_integer(cell.type) or pa.types.is_floating(cell.type):
        number, bad = cell.cast(pa.float64()), pa.repeat(pa.scalar(False), size)
    else:
        cells = pa.table({"position": pa.array(range(size), pa.int64()), "cell": _texts(cell)})
        read = engine.read("number_cells", {"decimal": source.decimal}, cells=cells)
        number, bad = (read[name].combine_chunks() for name in ("value", "bad"))
        # A blank cell is empty; one that says NaN is a fault of whoever wrote it.
        said = pc.match_substring_regex(cells["cell"].combine_chunks(), r"(?i)^\s*[-+]?nan\s*$")
        bad = pc.or_(bad, pc.fill_null(said, False))
    finite = pc.fill_null(pc.is_finite(number), True)
    bad = pc.or_(bad, pc.invert(finite))
    return pc.if_else(bad, None, number), pa.nulls(size, pa.string()), bad


def _texts(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())
