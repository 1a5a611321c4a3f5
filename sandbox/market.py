"""Markets the sandbox vendor quotes: five real histories or any number of made-up ones.

Prices are unadjusted: a bar is what was quoted on its own session, so a split shows as a jump.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from sandbox.walk import random_walk

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

_BOKEH_NAMES = {
    "AAPL": "Apple",
    "FB": "Facebook",
    "GOOG": "Google",
    "IBM": "IBM",
    "MSFT": "Microsoft",
}
_BOKEH_SPLITS = {
    "AAPL": ((date(2000, 6, 21), 2.0), (date(2005, 2, 28), 2.0)),
    "MSFT": ((date(2003, 2, 18), 2.0),),
}
_HOUSES = ("Alder", "Bright", "Cobalt", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Iris",
           "Juniper", "Keystone", "Lumen", "Meridian", "North", "Opal", "Pioneer", "Quarry",
           "Ridge", "Summit", "Tidal", "Umber", "Vector", "Willow", "Yarrow", "Zephyr")  # fmt: skip
_TRADES = ("Dynamics", "Energy", "Foods", "Health", "Industries", "Labs", "Logistics", "Materials",
           "Media", "Motors", "Networks", "Pharma", "Retail", "Robotics", "Software", "Steel",
           "Systems", "Telecom", "Utilities", "Works")  # fmt: skip


class MarketError(ValueError):
    """The market was asked for something it does not list; the message says what it has."""


@dataclass(frozen=True)
class Listing:
    """One quoted share and the short company name headlines use for it."""

    ticker: str
    name: str


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


@dataclass(frozen=True)
class Market:
    """A set of listings whose histories are made or read on first use, one ticker at a time."""

    name: str
    listings: tuple[Listing, ...]
    load: Callable[[Listing], History] = field(repr=False, compare=False)

    @property
    def tickers(self) -> tuple[str, ...]:
        """Symbols in listing order."""
        return tuple(listing.ticker for listing in self.listings)

    def history(self, ticker: str) -> History:
        """Bars and actions of `ticker`. Raises MarketError for a symbol that is not listed."""
        for listing in self.listings:
            if listing.ticker == ticker:
                return self.load(listing)
        raise MarketError(
            f"The {self.name} market does not list {ticker!r}; it has {len(self.listings)} "
            f"tickers, such as {', '.join(self.tickers[:5])}."
        )

    @property
    def bars(self) -> pa.Table:
        """All bars, one row per ticker and session, in BARS_SCHEMA."""
        return pa.concat_tables([self.history(ticker).bars() for ticker in self.tickers])

    @property
    def actions(self) -> pa.Table:
        """All splits and dividends, one row per ticker, ex-date and kind, in ACTIONS_SCHEMA."""
        rows = [
            {"ticker": ticker, "ex_date": act.ex_date, "kind": act.kind, "value": act.value}
            for ticker in self.tickers
            for act in self.history(ticker).actions
        ]
        return pa.Table.from_pylist(rows, schema=ACTIONS_SCHEMA)


def bokeh_market() -> Market:
    """The public-domain daily bars of bokeh-sampledata: AAPL, FB, GOOG, IBM, MSFT, 2000-2013.

    Doubles are exactly those of the file. Splits are the historical ones of the period. The file
    has no dividends: they are derived from steps of its Adj Close (see `derived_dividends`).
    """
    listings = tuple(Listing(ticker, name) for ticker, name in _BOKEH_NAMES.items())
    return Market("bokeh", listings, functools.cache(_bokeh_history))


def synthetic_market(tickers: int, start: date, end: date, seed: int = 7) -> Market:
    """`tickers` made-up shares on the New York calendar from `start` to `end`, both inclusive.

    Each is a geometric random walk of its own, a pure function of (seed, ticker, start, end), with
    splits and, for half of them, quarterly dividends. Raises MarketError for an empty market.
    """
    if tickers < 1 or start > end:
        raise MarketError(
            f"A market needs at least one ticker and start <= end; got tickers={tickers}, "
            f"start={start}, end={end}."
        )
    listings = tuple(_synthetic_listing(number) for number in range(tickers))

    @functools.cache
    def calendar() -> tuple[np.ndarray, np.ndarray]:
        sessions = new_york_sessions(start, end)
        return sessions, opening_instants(sessions)

    @functools.cache
    def load(listing: Listing) -> History:
        sessions, opens_at = calendar()
        walk = random_walk(sessions, listing.ticker, seed)
        actions = tuple(Action(*row) for row in walk.actions)
        return History(listing, sessions, opens_at, **walk.columns, actions=actions)

    return Market("synthetic", listings, load)


def new_york_sessions(start: date, end: date) -> np.ndarray:
    """Session dates of the New York Stock Exchange in [start, end] as datetime64[D]."""
    import exchange_calendars  # a second to import: only made-up markets need it

    calendar = exchange_calendars.get_calendar("XNYS", start=str(start), end=str(end))
    return np.asarray(calendar.sessions.values.astype("datetime64[D]"))


def opening_instants(sessions: np.ndarray) -> np.ndarray:
    """Unix seconds of 09:30 New York on each session (daylight saving included)."""
    return np.array([_opening(day) for day in sessions.tolist()], dtype=np.int64)


@functools.cache
def _opening(day: date) -> int:
    return int(datetime.combine(day, time(9, 30), EXCHANGE_ZONE).timestamp())


def derived_dividends(
    sessions: np.ndarray, close: np.ndarray, adj_close: np.ndarray, splits: Sequence[Action]
) -> tuple[Action, ...]:
    """Cash dividends implied by an adjusted close, to the cent.

    The factor adj/close steps up on an ex-date by 1 / (1 - dividend / previous close), after the
    split ratio of that day. A step counts only when it exceeds what a cent of rounding in the
    adjusted closes can produce.
    """
    factor = adj_close / close
    step = factor[1:] / factor[:-1]
    for split in splits:
        step[np.searchsorted(sessions, np.datetime64(split.ex_date)) - 1] /= split.value
    rounding = 0.005 / adj_close[1:] + 0.005 / adj_close[:-1]
    amount = np.round(close[:-1] * (1 - 1 / step), 2)
    hits = np.flatnonzero((step - 1 > rounding) & (amount > 0))
    return tuple(Action(sessions[i + 1].item(), "dividend", amount[i].item()) for i in hits)


@functools.cache
def _bokeh_file() -> pa.Table:
    with files("bokeh_sampledata").joinpath("_data/stocks.csv.gz").open("rb") as raw:
        stream = pa.CompressedInputStream(pa.PythonFile(raw), "gzip")
        return pc_csv.read_csv(stream)


def _bokeh_history(listing: Listing) -> History:
    table = _bokeh_file()
    table = table.filter(pc.equal(table["Ticker"], listing.ticker)).sort_by("Date")
    names = ("Date", "Open", "High", "Low", "Close", "Adj Close", "Volume")
    day, open_, high, low, close, adj_close, volume = (table[name].to_numpy() for name in names)
    sessions = day.astype("datetime64[D]")
    splits = tuple(
        Action(on, "split", ratio) for on, ratio in _BOKEH_SPLITS.get(listing.ticker, ())
    )
    dividends = derived_dividends(sessions, close, adj_close, splits)
    return History(
        listing, sessions, opening_instants(sessions), open_, high, low, close, adj_close, volume,
        actions=tuple(sorted(splits + dividends, key=lambda act: (act.ex_date, act.kind))),
    )  # fmt: skip


def _synthetic_listing(number: int) -> Listing:
    letters = "".join(chr(65 + number // 26**place % 26) for place in (2, 1, 0))
    cycle = number // (len(_HOUSES) * len(_TRADES))
    name = f"{_HOUSES[number % len(_HOUSES)]} {_TRADES[number // len(_HOUSES) % len(_TRADES)]}"
    return Listing(f"SB{letters}", f"{name} {cycle + 1}" if cycle else name)
