"""Splits and dividends from a file, judged beside the bars on record.

Imported before an archive of prices as traded, they explain the steps in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import model_validator

from tasks.ingest.archive_file import Archive, ArchiveError, manifest, open_archive
from tasks.ingest.prices.archive import DailyMapping
from tasks.ingest.prices.cells import CellReading, CellSurvey, decide, survey_slice
from tasks.ingest.prices.surroundings import NOTHING_KNOWN, Surroundings
from tasks.ingest.prices.validation import PriceRules, validate_actions
from warehouse.lake.scratch import Scratch, scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import ACTIONS, REJECTS, Clock, Land, PriceBatch


class ActionMapping(DailyMapping):
    """Which columns of an archive of splits and dividends mean what.

    Either `kind` and `value` name columns, or `split` and `dividend` do, of which a row may leave
    one empty or 0. A split is new shares for an old one: 2, 2:1, 2/1, 2-for-1.
    """

    FIELDS = ("ticker", "ex_date", "kind", "value", "split", "dividend")
    NEEDED = ("ticker", "ex_date")
    ROWS = "actions"

    ticker: str = "ticker"
    """Column of the tickers."""
    ex_date: str = "date"
    """Column of the ex-dates."""
    kind: str | None = None
    """Column that says split or dividend; none: `split` and `dividend` are given."""
    value: str | None = None
    """Column of the value of that kind; none: `split` and `dividend` are given."""
    split: str | None = None
    """Column of the splits; none: `kind` and `value` are given."""
    dividend: str | None = None
    """Column of the dividends per share; none: `kind` and `value` are given."""
    basis: date | Literal["session"] = "session"
    """`session` for dividends as paid, or the date up to which splits are inside them."""

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        given = {*self.columns(), *self.constants}
        if "value" in given and "kind" not in given:
            raise ValueError("value needs kind: --map kind=COLUMN, or --constant kind=split")
        return self


@dataclass(frozen=True, slots=True)
class ActionArchive:
    """An open archive of actions: how its cells are read, its tickers and days, and its actions."""

    archive: Archive[ActionMapping]
    reading: CellReading
    payload: Payload
    engine: Scratch
    cells: pa.Table
    tickers: tuple[str, ...]
    days: pa.Array

    def words(self) -> dict[str, str]:
        """How the file is read."""
        return self.archive.words() | self.reading.words() | {"granularity": "days"}

    def at(self, now: datetime) -> ActionArchive:
        """The same archive, imported at another moment (UTC)."""
        return replace(self, payload=replace(self.payload, fetched_at=now))

    def newest(self) -> date | None:
        """The last day the file speaks of; None when none can be read."""
        last: date | None = pc.max(self.days).as_py()
        return last

    def batch(self, land: Land, surroundings: Surroundings = NOTHING_KNOWN) -> PriceBatch:
        """The archive's actions, validated; a row without any is rejected as such."""
        payload_id, mapping = land(self.payload), self.archive.mapping
        basis = None if mapping.basis == "session" else mapping.basis
        params = {"source": mapping.source, "payload_id": payload_id, "basis": basis}
        read = self.engine.read("actions_told", params, cells=self._decided())
        unreadable = self.engine.read("actions_unreadable", params, told=read)
        candidates = self.engine.read("actions_readable", params, told=read)
        judged = [
            self._judged(part, calendar, surroundings)
            for part, calendar in surroundings.by_exchange(candidates)
        ]
        broken = self.archive.rejects("action", payload_id)
        rejects = [unreadable.cast(REJECTS), *(bad for _, bad in judged), broken]
        return PriceBatch(
            actions=pa.concat_tables([ACTIONS.empty_table(), *(good for good, _ in judged)]),
            rejects=pa.concat_tables(rejects),
            payloads=(self.payload,),
            rows=read.num_rows + broken.num_rows,
        )

    def _judged(
        self, candidates: pa.Table, calendar: pa.Table, surroundings: Surroundings
    ) -> tuple[pa.Table, pa.Table]:
        bars, splits = surroundings.beside_actions(candidates)
        return validate_actions(candidates, calendar, bars, splits, PriceRules(), self.engine)

    def _decided(self) -> pa.Table:
        """The cells with their days and plain numbers, ratios left as they are written."""
        cells = self.cells
        days, _ = self.reading.sessions(cells["ex_date"].combine_chunks(), self.engine)
        table = cells.append_column("day", days)
        for name in ("value", "split", "dividend"):
            number, _ = self.reading.numbers(table[name].combine_chunks(), self.engine)
            table = table.append_column(f"{name}_number", number)
        return table.append_column("position", pa.array(range(len(days)), pa.int64()))


@contextmanager
def open_actions(
    path: Path, mapping: ActionMapping, *, clock: Clock, zone: str | None = None
) -> Iterator[ActionArchive]:
    """Open a file of splits and dividends; it is read into memory, for actions are few.

    `zone` is the exchange's clock, on which instants have their day unless the mapping says so.
    Raises ArchiveError when the file cannot be read, lacks a mapped column, or leaves open what its
    days or numbers mean.
    """
    with scratch() as engine, open_archive(path, mapping, engine) as archive:
        declared = archive.mapping
        if not {"value", "split", "dividend"} & {*declared.columns(), *declared.constants}:
            raise ArchiveError(
                f"{path.name} says neither which splits nor which dividends it holds. Say which "
                "column does: --map split=COLUMN, --map dividend=COLUMN, or --map kind=COLUMN with "
                "--map value=COLUMN. Nothing was imported."
            )
        rows = pa.Table.from_batches(list(archive.batches(250_000)))
        cells = pa.table(
            {
                name: rows[name].cast(pa.string())
                if name in rows.column_names
                else pa.nulls(rows.num_rows, pa.string())
                for name in ActionMapping.FIELDS
                if name != "ex_date"
            }
        ).append_column("ex_date", rows["ex_date"])
        survey = CellSurvey()
        first = CellReading(date_format=declared.date_format)
        shown = {
            "session": rows["ex_date"].combine_chunks(),
            "open": cells["value"].combine_chunks(),
            "close": cells["dividend"].combine_chunks(),
        }
        survey.add(survey_slice(shown, first, engine))
        reading = decide(
            survey,
            path.name,
            date_format=declared.date_format,
            day_first=declared.day_first,
            declared_day_first="day_first" in mapping.model_fields_set,
            zone=declared.zone or zone,
            decimal=declared.decimal,
        )
        days, _ = reading.sessions(shown["session"], engine)
        tickers = pc.utf8_trim_whitespace(cells["ticker"]).drop_null().unique()
        yield ActionArchive(
            archive,
            reading,
            manifest(path, declared, clock()),
            engine,
            cells,
            tuple(tickers.to_pylist()),
            days.drop_null(),
        )
