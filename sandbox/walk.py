"""One made-up price history: a seeded geometric random walk with splits and dividends."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import date

import numpy as np

_SPLIT_ABOVE = 180.0
_DAILY_VOLATILITY = 0.018


@dataclass(frozen=True)
class Walk:
    """Price and volume columns (unadjusted) plus (ex_date, kind, value) rows."""

    columns: dict[str, np.ndarray]
    actions: tuple[tuple[date, str, float], ...]


def random_walk(sessions: np.ndarray, ticker: str, seed: int) -> Walk:
    """A history over `sessions`, a pure function of its arguments.

    Overnight gaps and intraday moves are independent normal steps of the log price (sd 0.9% and
    1.6% a day), prices are rounded to the cent, high and low enclose open and close. The share
    splits 2:1 when it passes 180; shares with an even checksum pay a quarterly dividend.
    """
    rng = np.random.default_rng([seed, zlib.crc32(ticker.encode())])
    n = len(sessions)
    gap = rng.normal(0, _DAILY_VOLATILITY / 2, n)
    day = rng.normal(0.0002, _DAILY_VOLATILITY * 0.87, n)
    start = np.log(rng.uniform(15, 150))
    log_close = start + np.cumsum(gap + day)
    log_open = log_close - day
    reach = np.abs(rng.normal(0, _DAILY_VOLATILITY / 3, (2, n)))
    shares = _shares(log_open)
    high, low = np.maximum(log_open, log_close), np.minimum(log_open, log_close)
    prices = {
        "open": log_open, "high": high + reach[0], "low": low - reach[1], "close": log_close
    }  # fmt: skip
    columns = {k: np.maximum(np.round(np.exp(v) / shares, 2), 0.01) for k, v in prices.items()}
    volume = np.exp(rng.normal(14, 0.4, n)) * shares
    columns["volume"] = np.round(volume).astype(np.int64)
    splits = np.flatnonzero(np.diff(shares) != 0) + 1
    payouts = _payouts(columns["close"], zlib.crc32(ticker.encode()))
    columns["adj_close"] = _adjusted(columns["close"], shares, payouts)
    actions = [(sessions[i].item(), "split", float(shares[i] / shares[i - 1])) for i in splits]
    actions += [
        (sessions[i].item(), "dividend", payouts[i].item()) for i in np.flatnonzero(payouts)
    ]
    return Walk(columns, tuple(sorted(actions)))


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
