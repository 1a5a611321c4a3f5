"""The decision clock: sessions of an exchange, and the instant at which each one is decided."""

from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

SESSIONS_SCHEMA = pa.schema(
    [
        pa.field("exchange", pa.string(), nullable=False),
        pa.field("session", pa.date32(), nullable=False),
        pa.field("open_ts", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("close_ts", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


# The zone of a calendar is the same in all of its years, and a year is made at once.
_ANY_YEAR = (date(2020, 1, 1), date(2020, 12, 31))


class CalendarError(ValueError):
    """An exchange or a range of dates for which no sessions are on record."""


class ClockSpec(BaseModel):
    """When session s is decided, and what counts as known then.

    A headline is known if it was available strictly before the decision.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: Literal["open", "previous_close"] = "open"
    """`open`: `lead` before the open of s. `previous_close`: `lead` before the close of the session
    before s."""
    lead: timedelta = timedelta(minutes=5)
    """Time between the decision and that moment."""
    bar_lag: timedelta = timedelta(minutes=15)
    """A bar is known if its session closed at least so long before the decision."""
    exchange: str = Field(default="XNYS", pattern=r"^[A-Z0-9]{4}$")
    """ISO 10383 code used for tickers whose exchange the warehouse does not know."""

    @model_validator(mode="after")
    def _bounded(self) -> ClockSpec:
        for name in ("lead", "bar_lag"):
            value = getattr(self, name)
            if not timedelta(0) <= value <= timedelta(hours=12):
                raise ValueError(
                    f"{name} is {value}; expected between 0 and 12 hours, so that a decision "
                    "stays between the close of one session and that of the next."
                )
        return self


def exchange_sessions(exchange: str, start: date, end: date) -> pa.Table:
    """The sessions of `exchange` from `start` to `end` inclusive, oldest first.

    One row per session: exchange, session (local date), open_ts and close_ts (UTC instants of the
    regular hours; half days and daylight saving are in them). An empty table if the exchange
    rests throughout. Raises CalendarError for an unknown exchange, a reversed range, or dates
    outside the calendar's record. Source: the exchange_calendars package.
    """
    if start > end:
        raise CalendarError(
            f"The sessions' range is {start} to {end}; the start must not be after the end."
        )
    # Widened so that a range without a session still makes a calendar.
    calendar = _checked(exchange, start - timedelta(days=31), end + timedelta(days=31))
    low, high = calendar.bound_min(), calendar.bound_max()
    if (low and start < low.date()) or (high and end > high.date()):
        raise CalendarError(
            f"No sessions of {exchange!r} from {start} to {end}: the calendar's record goes from "
            f"{low and low.date()} to {high and high.date()}. Use dates it records."
        )
    return _sessions(calendar, exchange, start, end)


def calendar_years(exchange: str, first: int, last: int) -> pa.Table:
    """The sessions of whole years, both included, as far as the calendar's record goes.

    Rows as in `exchange_sessions`. Raises CalendarError for an unknown exchange, and for years of
    which nothing is recorded.
    """
    start, end = date(first, 1, 1), date(last, 12, 31)
    return _sessions(_checked(exchange, start, end), exchange, start, end)


def calendar_version() -> str:
    """The installed release of exchange_calendars, which `sessions` names as its source."""
    return version("exchange_calendars")


def _checked(exchange: str, start: date, end: date) -> ExchangeCalendar:
    """The recorded calendar, held against the facts; raises CalendarError if it contradicts one."""
    calendar = _recorded(exchange, start, end)
    first, last = calendar.first_session.date(), calendar.last_session.date()
    for day, is_session in _facts().get(exchange, ()):
        if first <= day <= last and calendar.is_session(str(day)) != is_session:
            held = "held a session" if is_session else "rested"
            raise CalendarError(
                f"The installed calendar of {exchange!r} is wrong: the exchange {held} on {day}, "
                f"and the calendar says otherwise. {_right_releases()}"
            )
    return calendar


@cache
def _facts() -> dict[str, list[tuple[date, bool]]]:
    """Known sessions and closures by exchange; made by benchmarks/calendar_facts.py."""
    facts: dict[str, list[tuple[date, bool]]] = {}
    with Path(__file__).with_name("calendar_facts.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            day = date.fromisoformat(row["day"])
            facts.setdefault(row["exchange"], []).append((day, row["is_session"] == "1"))
    return facts


def _right_releases() -> str:
    return (
        f"pandas {version('pandas')} with exchange_calendars {calendar_version()} misreads some "
        "calendars; install the pinned releases (make install). Nothing was "
        "stored."
    )


def _recorded(exchange: str, start: date, end: date) -> ExchangeCalendar:
    """The calendar of the dates that the package has on record."""
    import exchange_calendars

    try:
        try:
            # `start` is explicit because the default reaches back only twenty years.
            return exchange_calendars.get_calendar(exchange, start=start, end=end)
        except exchange_calendars.errors.InvalidCalendarName:
            raise
        except ValueError as error:
            if "Special dates" in str(error):
                raise NotImplementedError(str(error)) from error
            known = exchange_calendars.get_calendar(exchange)
            low, high = known.bound_min(), known.bound_max()
            return exchange_calendars.get_calendar(
                exchange,
                start=max(start, low.date()) if low else start,
                end=min(end, high.date()) if high else end,
            )
    except (exchange_calendars.errors.InvalidCalendarName, ValueError) as error:
        raise CalendarError(
            f"No sessions of {exchange!r} from {start} to {end}: {error} "
            "Use an ISO 10383 code such as XNYS, and dates the calendar records."
        ) from error
    except NotImplementedError as error:
        raise CalendarError(
            f"The installed calendar of {exchange!r} cannot be read. {_right_releases()}"
        ) from error


def _sessions(calendar: ExchangeCalendar, exchange: str, start: date, end: date) -> pa.Table:
    schedule = calendar.schedule.loc[str(start) : str(end)]
    return pa.table(
        {
            "exchange": pa.array([exchange] * len(schedule), pa.string()),
            "session": pa.array(schedule.index.date, pa.date32()),
            "open_ts": pa.array(schedule["open"], pa.timestamp("us", tz="UTC")),
            "close_ts": pa.array(schedule["close"], pa.timestamp("us", tz="UTC")),
        },
        schema=SESSIONS_SCHEMA,
    )


def exchange_zone(exchange: str) -> str:
    """The IANA zone of the clock of `exchange` (a code as in exchange_calendars)."""
    return str(_recorded(exchange, *_ANY_YEAR).tz.key)


def exchange_day(exchange: str, now: datetime) -> date:
    """The local date at `exchange` (a code as in exchange_calendars) at an instant."""
    return now.astimezone(_recorded(exchange, *_ANY_YEAR).tz).date()
