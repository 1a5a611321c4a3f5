"""Intervals from resampled sessions: rows of one session share the day's news, so they move
together and are drawn together."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from math import isnan, nan, sqrt
from statistics import NormalDist

import numpy as np

from tasks.evaluation.metrics import Floats


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its bounds; NaN where the data cannot say."""

    value: float
    low: float
    high: float

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0.0

    @property
    def below_zero(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.high < 0.0


def session_draws(sessions: int, resamples: int, seed: int, name: str) -> Floats:
    """How often each session occurs in each resample: shape (resamples, sessions).

    `name` (of the slice) goes into the seed, so a slice's interval does not depend on which
    other slices were computed.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    drawn = rng.integers(sessions, size=(resamples, sessions))
    cells = drawn + sessions * np.arange(resamples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=resamples * sessions)
    return counts.reshape(resamples, sessions).astype(np.float64)


def percentile_interval(value: float, draws: Floats, level: float, sessions: int) -> Interval:
    """The expanded percentile interval of Hesterberg (2015, The American Statistician 69(4)).

    Plain percentiles are too narrow for few clusters; the tail is widened as a t interval's is.
    Bounds are NaN with fewer than two sessions, or when under half of the draws are defined.
    """
    defined = draws[~np.isnan(draws)]
    if sessions < 2 or isnan(value) or 2 * len(defined) < len(draws):
        return Interval(value, nan, nan)
    tail = _tail(level, sessions)
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return Interval(value, float(low), float(high))


@lru_cache(maxsize=1024)
def _tail(level: float, sessions: int) -> float:
    """The share of draws beyond either bound."""
    from scipy.stats import t

    reach = sqrt(sessions / (sessions - 1)) * t.ppf((1 + level) / 2, sessions - 1)
    return NormalDist().cdf(-reach)
