"""Sequential inference by betting: e-processes and confidence sequences, valid at every look.

A gambler starts with 1 and bets, session by session, that a predictor is right more often than
some mean m. If the mean is at most m no strategy makes money in expectation, so a capital of
1 / alpha is ever reached with probability alpha at most (Ville 1939), however often one looks and
whenever one stops. The means m against which the capital stays below are a confidence sequence
(Waudby-Smith and Ramdas 2024, JRSS B 86(1); Howard, Ramdas, McAuliffe and Sekhon 2021, Annals of
Statistics 49(2)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, nan
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.intervals import Interval, label_window
from tasks.evaluation.metrics import Floats, called_up

BETS = 0.95 * 0.75 ** np.arange(16)
"""Shares of the capital that are bet, side by side with a sixteenth of it each: from 0.95 to 0.013.

Each stays as it is. That, and that the bets are on one session as a whole, is why the mean may
change from day to day: what is bounded is the average of the sessions' means so far.
"""

_STEPS = 50  # halvings of the range in which a bound lies
_HALVES = 2  # a two-sided sequence spends half of its level on either side


@dataclass(frozen=True, slots=True)
class Gains:
    """Per session, in order of time: how many `rows` it has and their `total`.

    Each row lies within `low` and `high`. `window`: sessions that one label window covers.
    """

    rows: Floats
    total: Floats
    low: float
    high: float
    window: int = 1

    @property
    def mean(self) -> float:
        """Of all rows; NaN without any."""
        count = float(self.rows.sum())
        return float(self.total.sum()) / count if count else nan

    def until(self, sessions: int) -> Gains:
        """The first so many sessions."""
        return replace(self, rows=self.rows[:sessions], total=self.total[:sessions])

    @property
    def flipped(self) -> Gains:
        """The same with the sign changed: a bound from below is one from above."""
        return Gains(self.rows, -self.total, -self.high, -self.low, self.window)


def gains_of(frame: pa.Table, values: Any, low: float, high: float) -> Gains:
    """`values`, one for each row of `frame` and within `low` and `high`, by session.

    `frame`: session, label_start_ts and label_end_ts. Raises EvaluationError without the windows.
    """
    sessions, code = np.unique(frame["session"].to_numpy(), return_inverse=True)
    weights = np.asarray(values, dtype=np.float64)
    total = np.asarray(np.bincount(code, weights, len(sessions)), dtype=np.float64)
    rows = np.bincount(code, minlength=len(sessions)).astype(np.float64)
    return Gains(rows, total, low, high, label_window(frame))


def lead_of(frame: pa.Table, first: Floats, second: Floats) -> Gains:
    """By session: how many more calls are right by `first` than by `second`, both P(up).

    `frame`: as for `gains_of`, with label_up.
    """
    label = np.asarray(frame["label_up"].to_numpy(), dtype=bool)
    right = [(called_up(p_up) == label).astype(np.float64) for p_up in (first, second)]
    return gains_of(frame, right[0] - right[1], -1.0, 1.0)


def brier_lead_of(frame: pa.Table, first: Floats, second: Floats) -> Gains:
    """By session: by how much the squared error of `first` is below that of `second`."""
    label = frame["label_up"].to_numpy().astype(np.float64)
    return gains_of(frame, (second - label) ** 2 - (first - label) ** 2, -1.0, 1.0)


def log_capital(gains: Gains, mean: float) -> Floats:
    """Logarithm of the capital after every session, of bets that the rows' mean is above `mean`.

    Shape (sessions,). An e-process for "the average of the sessions' means is at most `mean`",
    where windows do not overlap. A session's stake is scaled to the most rows that any has, so
    that nothing can be lost but the stake.
    """
    most = float(gains.rows.max(initial=1.0))
    room = most * max(mean - gains.low, 1e-12)
    returns = (gains.total - gains.rows * mean) / room
    each = np.cumsum(np.log1p(np.outer(BETS, np.maximum(returns, -1.0))), axis=1)
    top = each.max(axis=0)
    return np.asarray(top + np.log(np.mean(np.exp(each - top), axis=0)), dtype=np.float64)


def lower_bound(gains: Gains, alpha: float) -> float:
    """The mean's bound from below: missed at any time, over all of time, with chance `alpha`.

    Where windows overlap, each session's outcome is open while the next are bet on. Then every
    `window`-th session makes a sequence of its own, purged of what lies between; each has its share
    of `alpha`, and the bound is the average of theirs by rows (a union bound). NaN without rows.
    """
    count = float(gains.rows.sum())
    if not count:
        return nan
    parts = [
        Gains(gains.rows[k :: gains.window], gains.total[k :: gains.window], gains.low, gains.high)
        for k in range(min(gains.window, len(gains.rows)))
    ]
    bounds = [_bound(part, alpha / gains.window) * float(part.rows.sum()) for part in parts]
    return sum(bounds) / count


def confidence_sequence(gains: Gains, level: float) -> Interval:
    """The mean with bounds that hold at `level` for every session at once, however often shown."""
    alpha = (1 - level) / _HALVES
    return Interval(gains.mean, lower_bound(gains, alpha), -lower_bound(gains.flipped, alpha))


def _bound(gains: Gains, alpha: float) -> float:
    """The smallest mean that the final capital does not contradict, by bisection."""
    low, high = gains.low, gains.mean
    if not gains.rows.sum() or not alpha > 0:
        return low
    target = log(1 / alpha)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if log_capital(gains, middle)[-1] >= target:
            low = middle
        else:
            high = middle
    return low


def level_of_test(number: int, level: float) -> float:
    """The share of `level`, a chance of error, that the `number`-th test of a series may spend.

    level / (k (k + 1)): all shares together are `level`, however many tests there come to be.
    """
    return level / (number * (number + 1))
