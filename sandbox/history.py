"""What the sandbox knows of one share: its listing, its daily bars, its splits and dividends.

Prices are unadjusted: a bar is what was quoted on its own session, so a split shows as a jump.
There are two sources: the public-domain bars of bokeh-sampledata (doubles exactly those of the
file; splits are the historical ones, dividends derived from its Adj Close), and random walks.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

EXCHANGE_ZONE = ZoneInfo("America/New_York")
SESSION_SECONDS = 6 * 3600 + 1800
BARS_SCHEMA = pa.schema(
    {
        "ticker": pa.string(),
        "session": pa.date32(),
        **dict.fromkeys(("open", "high", "low", "close"), pa.float64()),
        "volume": pa.int64(),
    }
)
ACTIONS_SCHEMA = pa.schema(
    {"ticker": pa.string(), "ex_date": pa.date32(), "kind": pa.string(), "value": pa.float64()}
)

_NAMES = {"AAPL": "Apple", "FB": "Facebook", "GOOG": "Google", "IBM": "IBM", "MSFT": "Microsoft"}
_SPLITS = {
    "AAPL": ((date(2000, 6, 21), 2.0), (date(2005, 2, 28), 2.0)),
    "MSFT": ((date(2003, 2, 18), 2.0),),
}

_HOUSES = ("Alder", "Bright", "Cobalt", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Iris",
           "Juniper", "Keystone", "Lumen", "Meridian", "North", "Opal", "Pioneer", "Quarry",
           "Ridge", "Summit", "Tidal", "Umber", "Vector", "Willow", "Yarrow", "Zephyr")  # fmt: skip
_TRADES = ("Dynamics", "Energy", "Foods", "Health", "Industries", "Labs", "Logistics", "Materials",
           "Media", "Motors", "Networks", "Pharma", "Retail", "Robotics", "Software", "Steel",
           "Systems", "Telecom", "Utilities", "Works")  # fmt: skip
_SPLIT_ABOVE = 180.0
_DAILY_VOLATILITY = 0.018


@dataclass(frozen=True)
class Listing:
    """One quoted share and the short company name headlines use for it.

    The symbol is in use from exchange date `since` up to, not including, `until`. From `ended` on
    the share is traded no more; from `forgotten` on Yahoo does not know the symbol any longer.
    """

    ticker: str
    name: str
    since: date | None = None
    until: date | None = None
    ended: date | None = None
    forgotten: date | None = None

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


def bokeh_listings() -> tuple[Listing, ...]:
    """The five listings of the file."""
    return tuple(Listing(ticker, name) for ticker, name in _NAMES.items())


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


@functools.cache
def bokeh_history(listing: Listing) -> History:
    """The bars and actions of one of `bokeh_listings`."""
    table = _bokeh_file()
    table = table.filter(pc.equal(table["Ticker"], listing.ticker)).sort_by("Date")
    names = ("Date", "Open", "High", "Low", "Close", "Adj Close", "Volume")
    day, open_, high, low, close, adj_close, volume = (table[name].to_numpy() for name in names)
    sessions = day.astype("datetime64[D]")
    splits = tuple(Action(on, "split", ratio) for on, ratio in _SPLITS.get(listing.ticker, ()))
    dividends = derived_dividends(sessions, close, adj_close, splits)
    return History(
        listing, sessions, opening_instants(sessions), open_, high, low, close, adj_close, volume,
        actions=tuple(sorted(splits + dividends, key=lambda act: (act.ex_date, act.kind))),
    )  # fmt: skip


def random_walk(listing: Listing, sessions: np.ndarray, opens_at: np.ndarray, seed: int) -> History:
    """A history of `listing` over `sessions`, a pure function of (ticker, seed, first session).

    More sessions append bars and change none; the adjusted close alone is restated, as it must be.

    Overnight gaps and intraday moves are independent normal steps of the log price (sd 0.9% and
    1.6% a day), prices are rounded to the cent, high and low enclose open and close. The share
    splits 2:1 when it passes 180; shares with an even checksum pay a quarterly dividend.
    """
    checksum = zlib.crc32(listing.ticker.encode())
    rng = np.random.default_rng([seed, checksum])
    start = np.log(rng.uniform(15, 150))
    # One row of draws per session: a longer calendar appends rows and changes none.
    gap, day, above, below, trading = rng.standard_normal((len(sessions), 5)).T
    day = 0.0002 + 0.87 * _DAILY_VOLATILITY * day
    log_close = start + np.cumsum(_DAILY_VOLATILITY / 2 * gap + day)
    log_open = log_close - day
    shares = _shares(log_open)
    high = np.maximum(log_open, log_close) + _DAILY_VOLATILITY / 3 * np.abs(above)
    low = np.minimum(log_open, log_close) - _DAILY_VOLATILITY / 3 * np.abs(below)
    open_, high, low, close = (
        np.maximum(np.round(np.exp(log_price) / shares, 2), 0.01)
        for log_price in (log_open, high, low, log_close)
    )
    volume = np.round(np.exp(14 + 0.4 * trading) * shares).astype(np.int64)
    payouts = _payouts(close, checksum)
    adj_close = _adjusted(close, shares, payouts)
    actions = _actions(sessions, shares, payouts)
    return History(listing, sessions, opens_at, open_, high, low, close, adj_close, volume, actions)


def _actions(sessions: np.ndarray, shares: np.ndarray, payouts: np.ndarray) -> tuple[Action, ...]:
    """The splits and dividends behind the columns, ascending by ex-date and kind."""
    splits = [
        Action(sessions[row].item(), "split", float(shares[row] / shares[row - 1]))
        for row in np.flatnonzero(np.diff(shares)) + 1
    ]
    dividends = [
        Action(sessions[row].item(), "dividend", payouts[row].item())
        for row in np.flatnonzero(payouts)
    ]
    return tuple(sorted(splits + dividends, key=lambda act: (act.ex_date, act.kind)))


def _shares(log_open: np.ndarray) -> np.ndarray:
    """Shares one original share has become at each session: doubles whenever it grows too dear."""
    dearest = np.maximum.accumulate(np.exp(log_open))
    return 2.0 ** np.maximum(0, np.ceil(np.log2(dearest / _SPLIT_ABOVE)))


def _payouts(close: np.ndarray, checksum: int) -> np.ndarray:
    """Dividend per share on each session: every 63rd one for shares with an even checksum."""
    payouts = np.zeros(len(close))
    if checksum % 2 == 0:
        due = np.arange(40 + checksum % 20, len(close), 63)
        payouts[due] = np.round(close[due - 1] * 0.005, 2)
    return payouts


def _adjusted(close: np.ndarray, shares: np.ndarray, payouts: np.ndarray) -> np.ndarray:
    """Adjusted close: every later split and dividend is taken out of the earlier prices."""
    kept = np.ones(len(close))
    kept[1:] = (1 - payouts[1:] / close[:-1]) * shares[:-1] / shares[1:]
    later = np.cumprod(kept[::-1])[::-1] / kept
    return np.asarray(close * later)


def made_up_listing(number: int) -> Listing:
    """The `number`-th made-up share (from 0): tickers SBAAA, SBAAB, ... with invented names."""
    letters = "".join(chr(65 + number // 26**place % 26) for place in (2, 1, 0))
    cycle = number // (len(_HOUSES) * len(_TRADES))
    name = f"{_HOUSES[number % len(_HOUSES)]} {_TRADES[number // len(_HOUSES) % len(_TRADES)]}"
    return Listing(f"SB{letters}", f"{name} {cycle + 1}" if cycle else name)
