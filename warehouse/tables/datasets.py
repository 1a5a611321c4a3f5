"""Splits and files of data sets: assigned, written aside, and moved into place whole."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute
import pyarrow.json
import pyarrow.parquet

from warehouse.lake import Lake
from warehouse.storage.atomic import file_sha256, sync
from warehouse.tables.examples import Parameters

# Rows of a row group of the twin.
BATCH_ROWS = 50_000
# Rows that are read back and put in order at a time, whatever files they go to: read month by
# month, a stored row group of 122,880 rows would be decoded dozens of times.
READ_ROWS = 100_000
_CHUNK_ROWS = 20_000
_FEW_VALUES = ["output", "ticker", "session", "decision_ts", "label_start_ts", "label_end_ts"]
LINES_SCHEMA = pa.schema(
    [
        ("input", pa.string()),
        ("output", pa.string()),
        ("example_id", pa.string()),
        ("ticker", pa.string()),
        ("session", pa.date32()),
        ("decision_ts", pa.timestamp("us", tz="UTC")),
        ("label_start_ts", pa.timestamp("us", tz="UTC")),
        ("label_end_ts", pa.timestamp("us", tz="UTC")),
        ("label_return", pa.float64()),
        ("headline_ids", pa.list_(pa.string())),
    ]
)


class DatasetFilesError(RuntimeError):
    """A data set's files could not be written or read; the message says what to do next."""


class Batch(NamedTuple):
    """Sessions of one file, from first to last, that make a row group of its twin."""

    first_session: date
    last_session: date
    rows: int


@dataclass(frozen=True, slots=True)
class Part:
    """What one file of a split holds: sessions from first to last, and a hash of which rows."""

    split: str
    suffix: str
    first_session: date
    last_session: date
    rows: int
    membership: str
    batches: list[Batch]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of a data set: its name in the folder, sha256 in hex, and size in bytes."""

    name: str
    sha256: str
    bytes: int


def assign_splits(lake: Lake, parameters: Parameters) -> tuple[pa.Table, pa.Table, list[Part]]:
    """Sort the examples of a spec into splits; keeps the result for `write_part`.

    Returns one row per split (rows, up, down, sessions, tickers, first_session, last_session), one
    per reason for which examples are in no split (drop_reason, rows), and the files to be written.
    """
    lake.read("split_rows", parameters)
    counts = lake.read("split_counts", parameters)
    dropped = lake.read("split_dropped", parameters)
    parts = lake.read("split_parts", {**parameters, "batch_rows": BATCH_ROWS}).to_pylist()
    for row in parts:
        row["batches"] = [Batch(**batch) for batch in row["batches"]]
    return counts, dropped, [Part(**row) for row in parts]


def write_parts(
    lake: Lake, parameters: Parameters, parts: Sequence[Part], folder: Path
) -> Generator[tuple[WrittenFile, ...]]:
    """Write parts into `folder` as JSON lines and Parquet, ordered by session and ticker.

    Gives the files of one part after the other. While some are written and hashed, the rows of the
    next ones are read.
    """
    # Closed here, so that an error leaves no thread behind that still reads.
    with closing(_tables(lake, parameters, parts)) as tables:
        for part in parts:
            stem = folder / f"{part.split}{part.suffix}"
            yield _write_part(islice(tables, len(part.batches)), stem)


def _write_part(tables: Iterable[pa.Table], stem: Path) -> tuple[WrittenFile, WrittenFile]:
    path, twin = stem.with_suffix(".jsonl"), stem.with_suffix(".parquet")
    digest = hashlib.sha256()
    with (
        path.open("wb") as lines,
        pyarrow.parquet.ParquetWriter(
            twin, LINES_SCHEMA, compression="zstd", use_dictionary=_FEW_VALUES
        ) as columns,
    ):
        for rows in tables:
            for chunk in rows["line"].chunks:
                lines.write(_text_of(chunk))
                digest.update(_text_of(chunk))
            columns.write_table(_twin_rows(rows), rows.num_rows)
    sync(path)
    sync(twin)
    return (
        WrittenFile(path.name, digest.hexdigest(), path.stat().st_size),
        WrittenFile(twin.name, file_sha256(twin), twin.stat().st_size),
    )


def _tables(lake: Lake, parameters: Parameters, parts: Sequence[Part]) -> Generator[pa.Table]:
    """The rows of each batch of `parts`, in order, read in another thread some batches ahead."""

    def read(group: list[tuple[str, Batch]]) -> pa.Table:
        (split, first), (_, last) = group[0], group[-1]
        span = {"first_session": first.first_session, "last_session": last.last_session}
        lake.read("dataset_chosen", {**parameters, **span, "split": split})
        return pa.Table.from_batches(lake.stream("dataset_rows", parameters))

    with ThreadPoolExecutor(max_workers=1) as reader:
        groups = list(_groups(parts))
        coming = reader.submit(read, groups[0]) if groups else None
        for number, group in enumerate(groups, start=1):
            assert coming is not None
            rows = coming.result()
            coming = reader.submit(read, groups[number]) if number < len(groups) else None
            sessions = rows["session"].to_numpy()
            for _, batch in group:
                begin = sessions.searchsorted(batch.first_session, side="left")
                end = sessions.searchsorted(batch.last_session, side="right")
                yield rows.slice(begin, end - begin)


def _groups(parts: Sequence[Part]) -> Iterator[list[tuple[str, Batch]]]:
    """Consecutive batches of one split that hold about READ_ROWS rows together."""
    group: list[tuple[str, Batch]] = []
    for entry in ((part.split, batch) for part in parts for batch in part.batches):
        held = sum(batch.rows for _, batch in group)
        if group and (entry[0] != group[0][0] or held + entry[1].rows > READ_ROWS):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def _twin_rows(rows: pa.Table) -> pa.Table:
    """The columns of the twin. How they are chunked shows in its bytes, so that never changes."""
    whole = rows.drop_columns(["line"]).cast(LINES_SCHEMA).combine_chunks()
    return pa.Table.from_batches(whole.to_batches(max_chunksize=_CHUNK_ROWS), LINES_SCHEMA)


def write_labelled(lake: Lake, parameters: Parameters, out: BinaryIO) -> None:
    """Append those freshly derived examples that have a label to `out` as JSON lines."""
    lake.read("examples_chosen")
    for batch in lake.stream("dataset_rows", parameters):
        out.write(_text_of(batch["line"]))


def _text_of(lines: pa.StringArray) -> memoryview:
    """The bytes of all strings, one after the other, as they already lie in memory."""
    _, offsets, text = lines.buffers()
    bounds = memoryview(offsets).cast("i")
    return memoryview(text)[bounds[lines.offset] : bounds[lines.offset + len(lines)]]


def fitting_datasets(
    lake: Lake, wanted: str | None, spec_digest: str | None = None
) -> tuple[list[dict[str, Any]], bool]:
    """The data sets that `wanted` means, a row each, best first; whether it leaves open which.

    `wanted` is an id, a name, or the beginning of an id, which must fit no other. None means any,
    those of the specification with `spec_digest` first, then the newest.
    """
    chosen = {"wanted": wanted, "spec_digest": spec_digest}
    found: dict[str, dict[str, Any]] = {}
    for row in lake.read("datasets_fitting", chosen).to_pylist():
        found.setdefault(row["dataset_id"], row)  # one that bears two names comes twice
    rows = list(found.values())
    return rows, wanted is not None and len(rows) > 1 and bool(rows[0]["fit"])


def name_dataset(lake: Lake, name: str, dataset_id: str, now: datetime) -> None:
    """Have the data set bear the name from `now` (UTC); another one that bore it does no more."""
    naming = {"name": name, "dataset_id": dataset_id, "named_at": now}
    lake.transact(lambda tx: tx.run("dataset_name", naming))


def changed_from(lake: Lake, spec_id: str, since_snapshot: int) -> date | None:
    """The first session of which an example of the spec has changed since a snapshot, if any."""
    last = lake.snapshot_id()
    if since_snapshot >= last:
        return None
    span = {"spec_id": spec_id, "first_snapshot": since_snapshot + 1, "last_snapshot": last}
    found: date | None = lake.read("dataset_changed", span)["changed_from"][0].as_py()
    return found


def export_lines(
    lake: Lake, rows: pa.Table, statement: str, words: Mapping[str, str], path: Path
) -> None:
    """Write the rows of a split, in their order, as JSON lines by a `dataset_export_` statement."""
    numbered = rows.append_column("line", pa.array(range(rows.num_rows), pa.int64()))
    target = {**words, "path": str(path)}
    lake.read(statement, target, split_lines=numbered)


def compare_splits(lake: Lake, one: pa.Table, other: pa.Table) -> pa.Table:
    """One row per example that differs: example_id, split_a, split_b, differs (a list).

    Both tables are rows of `load_split` with a column `split`.
    """
    return lake.read("dataset_differences", rows_a=one, rows_b=other)


def load_split(path: Path) -> pa.Table:
    """The examples of one split, from its `.jsonl` or `.parquet` file, in stored order.

    A split kept in monthly files is read whole under the name it would have as one file. Columns:
    input, output, example_id, ticker, session (date), decision_ts, label_start_ts, label_end_ts
    (UTC), label_return, headline_ids. Raises DatasetFilesError if absent.
    """
    if path.is_file():
        return _load_file(path)
    monthly = sorted(path.parent.glob(f"{path.stem}-????-??{path.suffix}"))
    if not monthly:
        raise DatasetFilesError(
            f"No split at {path}; expected a train, validation or test file of a built data set. "
            "Build it with `newsvane dataset build`, or list the folder to see what is there."
        )
    return pa.concat_tables(map(_load_file, monthly))


def _load_file(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pa.parquet.read_table(path)
    if path.stat().st_size == 0:
        return LINES_SCHEMA.empty_table()
    lines = pa.json.read_json(path)
    flat = pa.table({"input": lines["input"], "output": lines["output"]})
    for field in lines.schema.field("meta").type:
        flat = flat.append_column(field.name, pa.compute.struct_field(lines["meta"], field.name))
    return flat.cast(LINES_SCHEMA)
