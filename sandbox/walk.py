"""Made-up shares: names, and seeded geometric random walks with splits and dividends."""

from __future__ import annotations

import zlib

import numpy as np

from sandbox.history import Action, History, Listing

_HOUSES = ("Alder", "Bright", "Cobalt", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Iris",
           "Juniper", "Keystone", "Lumen", "Meridian", "North", "Opal", "Pioneer", "Quarry",
           "Ridge", "Summit", "Tidal", "Umber", "Vector", "Willow", "Yarrow", "Zephyr")  # fmt: skip
_TRADES = ("Dynamics", "Energy", "Foods", "Health", "Industries", "Labs", "Logistics", "Materials",
           "Media", "Motors", "Networks", "Pharma", "Retail", "Robotics", "Software", "Steel",
           "Systems", "Telecom", "Utilities", "Works")  # fmt: skip
_SPLIT_ABOVE = 180.0
_DAILY_VOLATILITY = 0.018


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
