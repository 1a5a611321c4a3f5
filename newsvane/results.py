"""What reads return: a table that knows its grain, a data set, an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from newsvane.asof import join_asof
from newsvane.errors import ReadError

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from tasks.dataset.spec.manifest import DatasetManifest
    from tasks.evaluation.verdict import Verdict

Split = Literal["train", "validation", "test", "final"]
_PREVIEW_ROWS = 20
_ITERATED_ROWS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """One Arrow table and its grain, e.g. "one row per ticker and session".

    Any library that knows Arrow's PyCapsule interface reads it as it is: `polars.DataFrame(rows)`,
    `pyarrow.table(rows)`, `duckdb.from_arrow(rows.table)`.
    """

    table: pa.Table
    grain: str

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self.table.column_names)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One dictionary per row, in order. Raises ReadError as `to_pandas` does."""
        for batch in self.table.to_batches(max_chunksize=_ITERATED_ROWS):
            with _held_by_python():
                rows = batch.to_pylist()
            yield from rows

    def head(self, rows: int = 5) -> Rows:
        """The first `rows` rows; nothing is copied."""
        return Rows(self.table.slice(0, max(rows, 0)), self.grain)

    def join_asof(
        self,
        own: object,
        *,
        on: str = "decision_ts",
        known_at: str = "known_at",
        by: str | None = "ticker",
        within: timedelta | None = None,
    ) -> Rows:
        """Point-in-time join: beside each row the last of `own` known strictly before its `on`.

        `own`: a pandas or polars frame, an Arrow table, or `Rows`, with the instant `known_at` at
        which each of its rows became known, and `by` (None: every row is about everything).
        `within`: rows known longer ago count no more. Order and number of rows stay; where nothing
        was known the columns of `own` are null. Raises ReadError for columns that are absent, are
        no instants with a zone, or are in both, and for two rows of one `by` and instant.
        """
        joined = join_asof(self.table, own, on=on, known_at=known_at, by=by, within=within)
        return Rows(joined, self.grain)

    def to_arrow(self) -> pa.Table:
        """The table itself; nothing is copied."""
        return self.table

    def to_pandas(self) -> pd.DataFrame:
        """A pandas frame. Instants keep their zone (UTC); sessions are `datetime.date` objects.

        Raises ReadError for a value that Python cannot hold, such as a date of the year 290000.
        """
        with _held_by_python():
            frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """A polars frame, without a copy where polars can. Raises ReadError without polars."""
        frame: pl.DataFrame = _library("polars").DataFrame(self)
        return frame

    def to_datasets(self) -> datasets.Dataset:
        """A Hugging Face `datasets.Dataset` over the same memory. Raises ReadError without it."""
        library = _library("datasets")
        made: datasets.Dataset = library.Dataset(self.table)
        return made

    def to_dicts(self) -> list[dict[str, Any]]:
        """All rows as a list of dictionaries. Raises ReadError as `to_pandas` does."""
        with _held_by_python():
            rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self.table.schema.__arrow_c_schema__()

    def __repr__(self) -> str:
        return f"<Rows: {len(self):,}, {self.grain}; {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        """How a notebook shows it: the grain, the first rows, how many there are."""
        from html import escape

        shown = self.table.slice(0, _PREVIEW_ROWS).to_pandas().to_html(index=False, border=0)
        return f"<p>{len(self):,} rows, {escape(self.grain)}</p>{shown}"


@contextmanager
def _held_by_python() -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError) as error:
        raise ReadError(
            f"The rows hold a value that Python cannot hold ({error}); expected values such as "
            "dates from year 1 to 9999. Have that column as text (column::VARCHAR), or read the "
            "Arrow table (to_arrow)."
        ) from error


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set: who it is, what it says of itself, where its files are. `created_at` is UTC.

    `final_opened`: whether its final holdout, if it has one, was opened.
    """

    dataset_id: str
    spec_id: str
    snapshot_id: int
    created_at: datetime
    folder: Path
    manifest: DatasetManifest
    final_opened: bool = False

    def split(self, name: Split) -> Rows:
        """The examples of one split in stored order; a split without rows gives an empty table.

        Columns: input, output, example_id, ticker, session (date), decision_ts, label_start_ts,
        label_end_ts (UTC), label_return, headline_ids. Raises ReadError for an unknown split and
        for a final holdout that was not opened, and DatasetFilesError when the files are not below
        the data root.
        """
        from warehouse.tables.datasets import LINES_SCHEMA, load_split

        if name not in self.manifest.splits:
            known = ", ".join(self.manifest.splits)
            raise ReadError(
                f"Data set {self.dataset_id} has no split {name!r}; it has {known}. Name one."
            )
        if name == "final" and not self.final_opened:
            raise ReadError(
                f"The final holdout of data set {self.dataset_id} is set aside: nobody has seen an "
                "outcome of it yet. `newsvane dataset open-final MODEL` scores a model on it, "
                "once; after that it can be read here."
            )
        empty = not self.manifest.splits[name].rows
        table = LINES_SCHEMA.empty_table() if empty else load_split(self.folder / f"{name}.parquet")
        return Rows(table, "one row per example of the split")

    def card(self) -> str:
        """The data set's card, in Markdown."""
        from tasks.dataset.rebuild import read_card

        return read_card(self.folder, self.manifest)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found on one split: every metric with its interval, and the verdicts in words."""

    dataset_id: str
    split: str
    rows: Rows
    verdicts: tuple[Verdict, ...]


_INSTALL: Mapping[str, str] = {"polars": "pip install polars", "datasets": "pip install datasets"}


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ReadError(
            f"This conversion needs the library {name}, which is not installed; Newsvane does not "
            f"require it. Run `{_INSTALL[name]}`, or use to_arrow() or to_pandas()."
        ) from error
