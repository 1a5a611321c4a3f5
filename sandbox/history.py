"""What the sandbox knows of one share: its listing, its daily bars, its splits and dividends.

Prices are unadjusted: a bar is what was quoted on its own session, so a split shows as a jump.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

EXCHANGE_ZONE = ZoneInfo("America/New_York")
SESSION_SECONDS = 6 * 3600 + 1800
BARS_SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("session", pa.date32()),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.int64()),
    ]
)
ACTIONS_SCHEMA = pa.schema(
    [
        ("ticker", pa.string()),
        ("ex_date", pa.date32()),
        ("kind", pa.string()),
        ("value", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Listing:
    """One quoted share and the short company name headlines use for it.

    The symbol is in use from exchange date `since` up to, not including, `until`.
    """

    ticker: str
    name: str
    since: date | None = None
    until: date | None = None

    @property
    def trading_window(self) -> tuple[int, int]:
        """[start, end) of the symbol's use in Unix seconds."""
        start = exchange_midnight(self.since) if self.since else 0
        return start, exchange_midnight(self.until) if self.until else 2**40


@dataclass(frozen=True)
class Action:
    """A split (`value` = new shares per old) or a cash dividend (`value` in currency per share)."""

    ex_date: date
    kind: str
    value: float


@dataclass(frozen=True)
class History:
    """Daily bars of one ticker as parallel arrays, ascending by session.

    `sessions` are exchange-local dates (datetime64[D]); `opens_at` the opening instant of each
    (Unix seconds, UTC). `adj_close` is the vendor's own split- and dividend-adjusted close.
    """

    listing: Listing
    sessions: np.ndarray
    opens_at: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    adj_close: np.ndarray
    volume: np.ndarray
    actions: tuple[Action, ...]

    def bars(self) -> pa.Table:
        """The history as a table, one row per session, in BARS_SCHEMA."""
        ticker = pa.repeat(self.listing.ticker, len(self.sessions))
        columns = [self.sessions, self.open, self.high, self.low, self.close, self.volume]
        return pa.Table.from_arrays([ticker, *map(pa.array, columns)], schema=BARS_SCHEMA)


def opening_instants(sessions: np.ndarray) -> np.ndarray:
    """Unix seconds of 09:30 New York on each session (daylight saving included)."""
    return np.array([_opening(day) for day in sessions.tolist()], dtype=np.int64)


def exchange_midnight(day: date) -> int:
    """Unix seconds of midnight New York on `day`."""
    return int(datetime.combine(day, time(), EXCHANGE_ZONE).timestamp())


@functools.cache
def _opening(day: date) -> int:
    return int(datetime.combine(day, time(9, 30), EXCHANGE_ZONE).timestamp())
