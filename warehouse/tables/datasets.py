"""Splits and files of data sets: assigned, written aside, and moved into place whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute
import pyarrow.json
import pyarrow.parquet

from warehouse.lake import Lake
from warehouse.storage.atomic import file_sha256, sync
from warehouse.tables.examples import Parameters

# Rows that are put in order, written as lines and made a row group of the twin at a time.
BATCH_ROWS = 50_000
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


@dataclass(frozen=True, slots=True)
class Part:
    """What one file of a split holds: sessions from first to last, and a hash of which rows.

    `batches` are the sessions (first_session, last_session) that are written at a time.
    """

    split: str
    suffix: str
    first_session: date
    last_session: date
    rows: int
    membership: str
    batches: list[dict[str, date]]


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
    parts = lake.read("split_parts", {**parameters, "batch_rows": BATCH_ROWS})
    return counts, dropped, [Part(**row) for row in parts.to_pylist()]


def write_part(
    lake: Lake, parameters: Parameters, part: Part, folder: Path
) -> tuple[WrittenFile, ...]:
    """Write one part into `folder` as JSON lines and Parquet, ordered by session and ticker."""
    path = folder / f"{part.split}{part.suffix}.jsonl"
    twin = path.with_suffix(".parquet")
    with (
        path.open("wb") as lines,
        pyarrow.parquet.ParquetWriter(
            twin, LINES_SCHEMA, compression="zstd", use_dictionary=_FEW_VALUES
        ) as columns,
    ):
        for batch in part.batches:
            lake.read("dataset_chosen", {**parameters, **batch, "split": part.split})
            rows = pa.Table.from_batches(write_lines(lake, parameters, lines))
            columns.write_table(rows.drop_columns(["line"]).cast(LINES_SCHEMA), rows.num_rows)
    return describe_file(path), describe_file(twin)


def write_lines(lake: Lake, parameters: Parameters, out: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Append the examples that are chosen to `out` as JSON lines, by session and ticker.

    Gives them as they are written, the column `line` first.
    """
    for batch in lake.stream("dataset_rows", parameters):
        out.write(_text_of(batch["line"]))
        yield batch


def write_labelled(lake: Lake, parameters: Parameters, out: BinaryIO) -> None:
    """Append those freshly derived examples that have a label to `out` as JSON lines."""
    lake.read("examples_chosen")
    for _ in write_lines(lake, parameters, out):
        pass


def _text_of(lines: pa.StringArray) -> memoryview:
    """The bytes of all strings, one after the other, as they already lie in memory."""
    _, offsets, text = lines.buffers()
    bounds = memoryview(offsets).cast("i")
    return memoryview(text)[bounds[lines.offset] : bounds[lines.offset + len(lines)]]


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


def describe_file(path: Path) -> WrittenFile:
    """Make the file durable; its name, hash and size."""
    sync(path)
    return WrittenFile(path.name, file_sha256(path), path.stat().st_size)


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
