"""Price features of Feng et al. (2019), "Enhancing Stock Movement Prediction with Adversarial
Training", Table 1: eleven per ticker and session, all of that session and those before it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

AVERAGED = (5, 10, 15, 20, 25, 30)
"""Sessions of the moving averages."""
FEATURES = ("c_open", "c_high", "c_low", "n_close", "n_adj_close", *(f"adj_{n}" for n in AVERAGED))
"""In the order of the released files, where all are in percent."""


def price_features(
    ticker: Ints, open_: Floats, high: Floats, low: Floats, close: Floats, adj_close: Floats
) -> Floats:
    """The features in percent, shape (rows, 11); NaN until a ticker has sessions enough.

    Rows are sorted by ticker (codes) and session. Open, high and low relative to the same close,
    close and adjusted close to those before, and moving averages of the adjusted close (this
    session's included) to this one.
    """
    columns = [value / close - 1.0 for value in (open_, high, low)]
    columns += [value / lagged(ticker, value, 1) - 1.0 for value in (close, adj_close)]
    columns += [_moving_average(ticker, adj_close, n) / adj_close - 1.0 for n in AVERAGED]
    return 100.0 * np.column_stack(columns)


def lagged(ticker: Ints, values: Floats, sessions: int) -> Floats:
    """The value so many rows before, of the same ticker; NaN where there is none."""
    before = np.full_like(values, np.nan)
    same = ticker[sessions:] == ticker[:-sessions]
    before[sessions:][same] = values[:-sessions][same]
    return before


def _moving_average(ticker: Ints, values: Floats, sessions: int) -> Floats:
    # Sums of lags, not differences of running sums: those carry one ticker's rounding to the next.
    return (
        np.asarray(sum(lagged(ticker, values, k) for k in range(1, sessions)) + values) / sessions
    )


def windows(
    ticker: Ints, features: Floats, rows: Ints, length: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Features of the `length` sessions before each of `rows`, oldest first, without its own.

    Shape (rows, length, features), and whether each is whole: of one ticker, all features known.
    What is not known is 0: short windows are padded, as the protocol says.
    """
    at = rows[:, None] + np.arange(-length, 0)[None, :]
    held = (at >= 0) & (ticker[np.maximum(at, 0)] == ticker[rows][:, None])
    found = features[np.maximum(at, 0)]
    found[~held] = np.nan
    whole = np.isfinite(found).all(axis=(1, 2))
    return np.nan_to_num(found).astype(np.float32), whole
