"""Cells of price archives: what texts say of days and numbers, decided by the column as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.archives.formats import ArchiveError
from warehouse.lake import LakeError
from warehouse.lake.scratch import Scratch

NUMBERS = ("open", "high", "low", "close", "volume", "vendor_adj_close")
DAILY = ("", "d", "1d", "day", "daily", "1day", "p1d")
"""How a column that names a row's period spells a day, in lower case; empty: not said."""

_ZONES = {
    "%z": r"\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})$",
    "%Z": r"\s*[A-Za-z][A-Za-z0-9/_+-]*$",
}


@dataclass(slots=True)
class CellSurvey:
    """Counts over a whole archive of how its days and numbers are written."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, found: Mapping[str, int]) -> None:
        """Count a slice's findings in."""
        for name, count in found.items():
            self.counts[name] = self.counts.get(name, 0) + count

    def __getitem__(self, name: str) -> int:
        return self.counts.get(name, 0)


@dataclass(frozen=True, slots=True)
class CellReading:
    """How cells are read: order of day and month, zone of instants in UTC, decimal mark."""

    date_format: str | None = None
    day_first: bool = False
    zone: str | None = None
    instants: bool = False
    decimal: str = "."

    def words(self) -> dict[str, str]:
        """How days and numbers are read, in words."""
        if self.date_format is not None:
            days = f"as {self.date_format}"
        else:
            days = f"as written, {'day' if self.day_first else 'month'} first in 01/02/2020"
        if self.instants:
            days += f"; instants in UTC have their day in {self.zone}"
        return {"granularity": "daily bars", "days": days, "decimal mark": self.decimal}

    def days(self, column: pa.Array, engine: Scratch) -> pa.Table:
        """A row per cell: day (null: none), time_us, utc, first, second; see `day_cells`."""
        if pa.types.is_date32(column.type):
            return _dated(column, pa.nulls(len(column), pa.int64()), utc=False)
        if pa.types.is_timestamp(column.type):
            utc = column.type.tz in ("UTC", "Etc/UTC", "+00:00")
            local = column if column.type.tz is None or utc else pc.local_timestamp(column)
            local = local.cast(pa.timestamp("us"))
            days = local.cast(pa.date32(), safe=False)
            times = pc.subtract(
                local.cast(pa.int64()), days.cast(pa.timestamp("us")).cast(pa.int64())
            )
            return _dated(days, times, utc=utc)
        text = pc.cast(column, pa.string())
        cells = pa.table({"position": pa.array(range(len(text)), pa.int64()), "cell": text})
        declared, zone = split_zone(self.date_format)
        params = {"format": declared, "format_zone": zone, "day_first": self.day_first}
        try:
            return engine.scan("day_cells", params, cells=cells)
        except LakeError as error:
            raise ArchiveError(
                f"date_format {self.date_format!r} is not usable; expected a strptime format such "
                "as %d.%m.%Y or %Y-%m-%d %H:%M:%S%z."
            ) from error

    def sessions(self, column: pa.Array, engine: Scratch) -> tuple[pa.Array, pa.Array]:
        """The session of each cell (null: none was read), and whether its time of day is odd.

        That is the date as written; of instants in UTC, it is the date they have in `zone`.
        """
        read = self.days(column, engine)
        days = read["day"].combine_chunks()
        times = pc.fill_null(read["time_us"].combine_chunks(), 0)
        utc, timed = read["utc"].combine_chunks(), pc.not_equal(times, 0)
        if not self.instants:
            return days, pc.and_(utc, timed)
        micros = pc.add(days.cast(pa.timestamp("us")).cast(pa.int64()), times)
        local = pc.local_timestamp(
            micros.cast(pa.timestamp("us"))
            .cast(pa.timestamp("us", "UTC"))
            .cast(pa.timestamp("us", self.zone))
        )
        return pc.if_else(utc, local.cast(pa.date32(), safe=False), days), _falses(days)

    def numbers(self, column: pa.Array, engine: Scratch) -> tuple[pa.Array, pa.Array]:
        """The number of each cell (null: none), and whether it holds something else."""
        if not pa.types.is_string(column.type):
            return column.cast(pa.float64(), safe=False), _falses(column)
        read = engine.read("number_cells", {"decimal": self.decimal}, cells=_cells(column))
        return read["value"].combine_chunks(), read["bad"].combine_chunks()


def survey_slice(
    columns: Mapping[str, pa.Array], reading: CellReading, engine: Scratch
) -> dict[str, int]:
    """What one slice of an archive shows: see `day_survey` and `number_marks`."""
    days = reading.days(columns["session"], engine)
    ticker = columns.get("ticker")
    tickers = pa.nulls(days.num_rows, pa.string()) if ticker is None else ticker.cast(pa.string())
    rows = days.append_column("ticker", tickers)
    found: dict[str, int] = engine.read("day_survey", read=rows).to_pylist()[0]
    for name in NUMBERS:
        column = columns.get(name)
        if column is not None and pa.types.is_string(column.type):
            marks = engine.read("number_marks", cells=_cells(column)).to_pylist()[0]
            for mark, count in marks.items():
                found[mark] = found.get(mark, 0) + count
    if "period" in columns:
        period = pc.utf8_lower(pc.fill_null(columns["period"].cast(pa.string()), ""))
        daily = pc.is_in(pc.utf8_trim_whitespace(period), pa.array(DAILY))
        found["other_periods"] = pc.sum(pc.invert(daily).cast(pa.int64())).as_py() or 0
    found["rows"] = days.num_rows
    return found


def decide(
    survey: CellSurvey,
    name: str,
    *,
    date_format: str | None,
    day_first: bool | None,
    declared_day_first: bool,
    zone: str | None,
    decimal: str | None,
) -> CellReading:
    """How the cells of a whole archive are to be read.

    `day_first` orders day and month where the column itself leaves it open. Raises ArchiveError
    where it contradicts itself or nothing decides, and for an archive that is not of daily bars.
    """
    if survey["several"] * 20 > survey["ticker_days"]:
        raise ArchiveError(
            f"{name} holds more than one time of day for {survey['several']:,} of "
            f"{survey['ticker_days']:,} days of its tickers: times of day differ, daily bars are "
            "expected. Make daily bars of it first. Nothing was imported."
        )
    if survey["other_periods"] * 2 > survey["rows"]:
        raise ArchiveError(
            f"{name} says of {survey['other_periods']:,} of its {survey['rows']:,} rows that they "
            "are of another period than a day; daily bars are expected. Nothing was imported."
        )
    instants = survey["utc_stamps"] > survey["utc_midnights"]
    if instants and zone is None:
        raise ArchiveError(
            f"{name} stamps its days with instants in UTC that are no midnights there, so their "
            "date depends on the exchange; declare its clock, such as zone=America/New_York. "
            "Nothing was imported."
        )
    return CellReading(
        date_format=date_format,
        day_first=_day_first(survey, name, day_first, declared=declared_day_first)
        if date_format is None
        else False,
        zone=zone,
        instants=instants,
        decimal=decimal or _decimal(survey, name),
    )


def split_zone(date_format: str | None) -> tuple[str | None, str]:
    """A strptime format without the zone at its end, and the pattern of what that zone reads."""
    for directive, pattern in _ZONES.items():
        if date_format and directive in date_format:
            before, _, after = date_format.rpartition(directive)
            if after.strip():
                raise ArchiveError(
                    f"date_format {date_format!r} has {directive} before its end; expected it last."
                )
            return before.rstrip(), pattern
    return date_format, r"^\b$"


def _day_first(survey: CellSurvey, name: str, hint: bool | None, *, declared: bool) -> bool:
    days, months = survey["day_first"], survey["month_first"]
    if declared and hint is not None:
        return hint
    if max(days, months) and min(days, months) * 50 <= max(days, months):
        return days > months
    if days or months:
        raise ArchiveError(
            f"{name} has {months:,} dates like 01/31/2020 and {days:,} like 31/01/2020; declare "
            "which is right, date_format=%m/%d/%Y or date_format=%d/%m/%Y. Nothing was imported."
        )
    if survey["either"] and hint is None:
        raise ArchiveError(
            f"{name} has dates like 01/02/2020 and none that shows whether the day or the month "
            "comes first; declare date_format=%m/%d/%Y or date_format=%d/%m/%Y. Nothing was "
            "imported."
        )
    return bool(hint)


def _decimal(survey: CellSurvey, name: str) -> str:
    points = survey["points"] + survey["grouping_commas"]
    commas = survey["commas"] + survey["grouping_points"]
    if commas and min(points, commas) * 20 > max(points, commas):
        raise ArchiveError(
            f"{name} has numbers like 1.5 and numbers like 1,5; declare the decimal mark, "
            "decimal=. or decimal=, . Nothing was imported."
        )
    if survey["unclear"] and not points and not commas:
        raise ArchiveError(
            f"{name} has numbers like 1,875 and none that shows whether the comma is a decimal "
            "mark; declare decimal=. or decimal=, . Nothing was imported."
        )
    return "," if commas > points else "."


def _dated(days: pa.Array, times: pa.Array, *, utc: bool) -> pa.Table:
    size = len(days)
    return pa.table(
        {
            "day": days,
            "time_us": times,
            "utc": pc.fill_null(pc.and_(pa.repeat(utc, size), days.is_valid()), False),
            "first": pa.nulls(size, pa.int32()),
            "second": pa.nulls(size, pa.int32()),
        }
    )


def _cells(column: pa.Array) -> pa.Table:
    return pa.table({"position": pa.array(range(len(column)), pa.int64()), "cell": column})


def _falses(like: pa.Array) -> pa.Array:
    return pa.repeat(pa.scalar(False), len(like))
