"""Feature sources: which file or query holds the user's own columns, and how its rows are dated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from tasks.ingest.archive_file import ArchiveMapping
from tasks.ingest.headlines.dates import DeclaredGranularity, require_zone

_NAME = r"^[a-z][a-z0-9_]*$"
NUMBER, TEXT = "number_of_", "text_of_"
"""What stands before a column's name in the fields of a source's mapping."""


class FeatureSource(BaseModel):
    """One feature set: a file or query, the columns of its rows, and when a row was known.

    A day, and midnight unless `granularity` says that it is meant, counts once the day is over
    everywhere on earth; `lag` comes on top.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAME)
    """Name of the set."""
    file: Path
    """Delimited text, JSON or Parquet, or a DuckDB or SQLite database, which needs a `query`."""
    query: str | None = None
    """One SELECT over the tables of a database; over another file it names that `file`. None: the
    file's rows."""
    ticker: str | None = None
    """Column of the tickers; none: every row is of the whole market."""
    known_at: str = "known_at"
    """Column of the instant from which a row was known."""
    values: Mapping[str, str] = Field(default_factory=dict)
    """The columns of numbers: a list of the file's columns, or a table of your names for them."""
    texts: Mapping[str, str] = Field(default_factory=dict)
    """The columns of words, in the same way."""
    zone: str | None = None
    """IANA zone of stamps that name none; none: such rows are refused, but for days."""
    granularity: DeclaredGranularity = "detect"
    """What the stamps are good for; `detect` finds those that are days."""
    date_format: str | None = None
    """strptime format of the stamps; none: their usual spellings."""
    lag: timedelta = Field(default=timedelta(0), ge=timedelta(0))
    """How long after its stamp a row counts as known."""
    time_to_live: timedelta | None = Field(default=None, gt=timedelta(0))
    """How long a row counts, in data sets that do not say otherwise; none: until the next."""
    decimal: str = Field(default=".", pattern=r"^[.,]$")
    """Mark before a number's fraction."""
    separator: str | None = Field(default=None, min_length=1, max_length=4)
    """Mark between cells; none: found in the file."""
    quote: str | None = Field(default=None, min_length=1)
    """Mark around cells; none: found in the file."""
    encoding: str | None = None
    """Encoding of the text; none: found in the file."""

    @field_validator("values", "texts", mode="before")
    @classmethod
    def _by_name(cls, given: object) -> object:
        """A list of columns that are called in the data set as in the file."""
        return {name: name for name in given} if isinstance(given, list | tuple) else given

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        return require_zone(zone)

    @model_validator(mode="after")
    def _has_columns(self) -> FeatureSource:
        if not self.columns:
            raise ValueError("names no columns; expected some in values (numbers) or texts (words)")
        for name in self.columns:
            if not re.fullmatch(_NAME, name):
                raise ValueError(
                    f"the column {name!r} needs a name of small letters, digits and _ for the "
                    f'template, as in values = {{ pe_ratio = "{name}" }}'
                )
        if doubled := sorted(self.values.keys() & self.texts.keys()):
            raise ValueError(f"{doubled[0]!r} is both in values and in texts; leave one out")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, numbers first."""
        return (*self.values, *self.texts)

    @property
    def mapping(self) -> ArchiveMapping:
        """How the archive reader finds the columns: every one of them must be there."""
        columns = {NUMBER + name: column for name, column in self.values.items()}
        columns |= {TEXT + name: column for name, column in self.texts.items()}
        columns |= {"known_at": self.known_at}
        columns |= {} if self.ticker is None else {"ticker": self.ticker}
        kind = create_model(  # type: ignore[call-overload]
            "FeatureMapping", __base__=_Columns, **dict.fromkeys(columns, (str, ...))
        )
        kind.FIELDS = kind.NEEDED = tuple(columns)
        declared = {
            "source": f"features-{self.name}",
            "separator": self.separator,
            "quote": self.quote,
            "encoding": self.encoding,
        }
        found: ArchiveMapping = kind(**columns, **declared)
        return found


class _Columns(ArchiveMapping):
    FIELDS: ClassVar[tuple[str, ...]] = ()
    NEEDED: ClassVar[tuple[str, ...]] = ()
    ROWS: ClassVar[str] = "features"


def with_sources(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration's tables, with [[dataset.features]] completed from [[features]].

    A set has the time to live of its source where it names none. Raises ValueError for a source
    whose name comes twice, and for a set or column that no source has.
    """
    result = dict(tables)
    sources: dict[str, Any] = {}
    for source in result.get("features", ()):
        if _of(source, "name") in sources:
            raise ValueError(f"two [[features]] are called {_of(source, 'name')!r}; rename one")
        sources[_of(source, "name")] = source
    used = _of(result.get("dataset", {}), "features") or ()
    if not used:
        return result
    completed = [_completed(one, sources) for one in used]
    result["dataset"] = {**_plain(result["dataset"]), "features": completed}
    return result


def _completed(one: Any, sources: Mapping[str, Any]) -> dict[str, Any]:
    table, name = _plain(one), _of(one, "name")
    if name not in sources:
        known = ", ".join(sorted(map(str, sources))) or "none"
        raise ValueError(
            f"dataset.features wants the set {name!r}; expected one of [[features]], which has "
            f"{known}: add a [[features]] table of that name, or correct it"
        )
    source = sources[name]
    named = [*(_of(source, "values") or ()), *(_of(source, "texts") or ())]
    if lacking := [column for column in table.get("columns", ()) if column not in named]:
        raise ValueError(
            f"dataset.features wants the column {lacking[0]!r} of {name!r}; expected one of "
            f"{', '.join(named)}: add it to values or texts of that [[features]] table"
        )
    if table.get("time_to_live") is None and _of(source, "time_to_live") is not None:
        table["time_to_live"] = _of(source, "time_to_live")
    return table


def _of(table: Any, key: str) -> Any:
    return table.get(key) if isinstance(table, Mapping) else getattr(table, key, None)


def _plain(table: Any) -> dict[str, Any]:
    return dict(table) if isinstance(table, Mapping) else table.model_dump()
