"""The public-domain daily bars of bokeh-sampledata: AAPL, FB, GOOG, IBM, MSFT, 2000-2013.

Doubles are exactly those of the file, which has no actions of its own: splits are the historical
ones of the period, dividends are derived from steps of its Adj Close.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import date
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from sandbox.history import Action, History, Listing, opening_instants

_NAMES = {"AAPL": "Apple", "FB": "Facebook", "GOOG": "Google", "IBM": "IBM", "MSFT": "Microsoft"}
_SPLITS = {
    "AAPL": ((date(2000, 6, 21), 2.0), (date(2005, 2, 28), 2.0)),
    "MSFT": ((date(2003, 2, 18), 2.0),),
}


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
