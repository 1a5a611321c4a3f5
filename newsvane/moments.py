"""Arguments of reads: instants, days and tickers as callers write them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time

from newsvane.errors import ReadError

Moment = datetime | str
"""An instant: an aware datetime or pandas Timestamp, or ISO 8601 with a zone, e.g.
`2012-06-04T13:25:00Z`."""

Day = date | str
"""A session or date: a date, `YYYY-MM-DD`, or a datetime or Timestamp without time of day."""

_MIDNIGHTS = frozenset({time(), time(tzinfo=UTC)})

Tickers = Iterable[str] | str | None
"""One ticker, several, or None for all."""


def instant(asof: Moment) -> datetime:
    """The moment in UTC. Raises ReadError unless it names a time and a zone."""
    moment: datetime | date | str | None = asof
    if isinstance(asof, str):
        try:
            moment = datetime.fromisoformat(asof)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ReadError(
            f"asof got {asof!r}; expected an instant with a time zone, because a moment without "
            'one may lie after the decision. Write "2012-06-04T13:25:00Z" or '
            "datetime(2012, 6, 4, 13, 25, tzinfo=UTC)."
        )
    return moment.astimezone(UTC)


def day(name: str, value: Day | None) -> date | None:
    """The date of an optional bound. Raises ReadError unless it is one, without a time of day."""
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.timetz() not in _MIDNIGHTS:
        raise ReadError(f"{name} got {value!r}; expected a session's date. Write YYYY-MM-DD.")
    return moment.date()


def symbols(tickers: Tickers) -> list[str] | None:
    """The tickers as a list, None for all. Raises ReadError for an empty choice."""
    if tickers is None:
        return None
    chosen = [tickers] if isinstance(tickers, str) else list(tickers)
    if not chosen or not all(isinstance(ticker, str) for ticker in chosen):
        raise ReadError(
            f"tickers got {tickers!r}; expected symbols such as ['AAPL', 'MSFT']. "
            "Leave it out for all of them."
        )
    return chosen
