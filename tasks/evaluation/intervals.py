"""Block bootstrap of sessions: the one owner of resamples, block lengths and intervals.

Rows of one session share its news, and label windows of several sessions share their prices: both
move together, so they are drawn together. Every interval of this program comes from here.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf, isnan, nan, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.evaluation.metrics import CORRECT, ENTROPY, ROWS, Floats
from tasks.evaluation.spec import EvaluationError, EvaluationSpec

LEAST_WINDOWS = 3
"""Label windows the sessions must hold, end to end, before an interval is given at all."""

_RESOLVED = 5  # draws that must lie beyond a percentile before it is read off
_NORMAL = NormalDist()


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

    def within(self, low: float, high: float) -> Interval:
        """The same with its bounds moved into the range of what can be."""
        return Interval(
            self.value, float(np.clip(self.low, low, high)), float(np.clip(self.high, low, high))
        )


@dataclass(frozen=True, slots=True)
class Resampling:
    """Circular block bootstrap over sessions (Politis and Romano 1992).

    `weights`: how often each session occurs, shape (1 + resamples, sessions); the first row is the
    sample itself. `window`: sessions that one label window covers. `block`: sessions of a block.
    """

    weights: Floats
    window: int
    block: int
    level: float

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return int(self.weights.shape[1])

    @property
    def reach(self) -> float:
        """How many bootstrap standard errors an interval of `level` reaches; see `reach`."""
        return reach(self.sessions, self.window, self.block, self.level)

    def interval(self, values: Floats) -> Interval:
        """The interval of a statistic from its values on the rows of `weights`."""
        return percentile_interval(float(values[0]), values[1:], self.reach)

    def error(self, values: Floats) -> float:
        """The standard error of a statistic, freed of the bias that blocks have."""
        share, _ = _moments(self.sessions, self.window, self.block)
        return float(np.std(values[1:])) / sqrt(share) if share > 0 else nan

    @property
    def critical(self) -> float:
        """The t quantile by which `error` is multiplied; infinite where no interval is given."""
        share, _ = _moments(self.sessions, self.window, self.block)
        return self.reach * sqrt(share) if share > 0 else inf


def resampling(series: Floats, window: int, spec: EvaluationSpec, name: str) -> Resampling:
    """Blocks as long as `series` ask for, shape (sessions, k) in order of time, and the resamples.

    `name` (of the slice) goes into the seed, so a slice's interval does not depend on which other
    slices were computed.
    """
    block = block_length(series, window)
    weights = _weights(len(series), block, spec.resamples, spec.seed, name)
    return Resampling(weights, window, block, spec.level)


@lru_cache(maxsize=8)
def _weights(sessions: int, block: int, resamples: int, seed: int, name: str) -> Floats:
    drawn = block_draws(sessions, block, resamples, seed, name)
    weights = np.vstack([np.ones(sessions), drawn])
    weights.setflags(write=False)
    return weights


def label_window(frame: pa.Table) -> int:
    """Sessions that the longest label window reaches into, its own included; 1: none overlap.

    `frame`: session, label_start_ts and label_end_ts (UTC) of each example. A window reaches into
    every later session among these whose own windows begin before it ends. Raises EvaluationError
    when a column is missing or null.
    """
    columns = ("session", "label_start_ts", "label_end_ts")
    absent = [c for c in columns if c not in frame.column_names or frame[c].null_count]
    if absent:
        raise EvaluationError(
            f"The examples lack {', '.join(absent)} (absent, or null in some); got "
            f"{frame.column_names}. Without the label windows nobody knows which sessions overlap."
        )
    spans = frame.group_by("session").aggregate(
        [("label_start_ts", "min"), ("label_end_ts", "max")]
    )
    spans = spans.sort_by("session")
    start, end = (spans[name].to_numpy() for name in ("label_start_ts_min", "label_end_ts_max"))
    reaches = np.searchsorted(np.maximum.accumulate(start), end, side="left") - np.arange(len(end))
    return max(1, int(reaches.max(initial=1)))


def block_length(series: Floats, window: int) -> int:
    """Sessions of a block: the label window, what the data ask for, or a floor; the longest of all.

    `series`: shape (sessions, k); the longest length that Politis and White's rule gives any of
    them counts. The floor is the cube root of the number of sessions, the order of the best length
    (Hall, Horowitz and Jing 1995): on few sessions the rule overlooks moderate correlation. At most
    a third of the sessions, unless the window is longer.
    """
    sessions = len(series)
    wanted = max(int(np.ceil(sessions ** (1 / 3))), politis_white(series))
    return max(window, 1, min(wanted, sessions // 3))


def politis_white(series: Floats) -> int:
    """Automatic block length of the circular bootstrap, the longest over the columns of `series`.

    Politis and White (2004), Econometric Reviews 23(1), with the correction of Patton, Politis and
    White (2009), Econometric Reviews 28(4); series that do not vary count as independent.
    """
    n = len(series)
    centred = series - series.mean(axis=0)
    spread = np.einsum("ij,ij->j", centred, centred)
    centred = centred[:, spread > 1e-12 * n]
    run = max(5, ceil(sqrt(np.log10(max(n, 2)))))
    last = min(n - 1, ceil(sqrt(n)) + run)
    if not centred.size or last < 2:
        return 1
    lags = np.stack([np.einsum("ij,ij->j", centred[k:], centred[: n - k]) for k in range(last + 1)])
    covariance = lags / n
    small = np.abs(covariance[1:] / covariance[0]) < 2 * sqrt(np.log10(n) / n)
    longest = ceil(min(3 * sqrt(n), n / 3))
    found = 1
    for column, quiet in zip(covariance.T, small.T, strict=True):
        m = _last_correlated(quiet, run)
        if m == 0:
            continue
        reached = min(2 * m, last)
        k = np.arange(1, reached + 1)
        weight = np.minimum(1.0, 2.0 * (1.0 - k / reached)) if reached > 1 else np.ones(1)
        slope = 2 * np.sum(weight * k * column[1 : reached + 1])
        level = column[0] + 2 * np.sum(weight * column[1 : reached + 1])
        length = (1.5 * (slope / level) ** 2 * n) ** (1 / 3) if level > 0 else inf
        found = max(found, ceil(min(length, longest)))
    return found


def _last_correlated(quiet: npt.NDArray[np.bool_], run: int) -> int:
    """The last lag before the first `run` quiet ones; else the last that is not quiet."""
    for lag in range(max(0, len(quiet) - run) + 1):
        if quiet[lag : lag + run].all():
            return lag
    loud = np.flatnonzero(~quiet)
    return int(loud[-1]) + 1 if len(loud) else 0


def block_draws(sessions: int, block: int, resamples: int, seed: int, name: str) -> Floats:
    """How often each session occurs in each resample: shape (resamples, sessions).

    Blocks of consecutive sessions, the last followed by the first, begin anywhere; the last block
    of a resample is cut so that each holds as many sessions as there are.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    blocks = ceil(sessions / block)
    first = rng.integers(sessions, size=(resamples, blocks))
    drawn = (first[:, :, None] + np.arange(block)) % sessions
    drawn = drawn.reshape(resamples, blocks * block)[:, :sessions]
    cells = drawn + sessions * np.arange(resamples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=resamples * sessions)
    return counts.reshape(resamples, sessions).astype(np.float64)


def percentile_interval(value: float, draws: Floats, reach: float) -> Interval:
    """The expanded percentile interval of Hesterberg (2015, The American Statistician 69(4)).

    Percentiles lie `reach` standard errors out, where a plain interval of `level` would take the
    normal quantile. What so few draws cannot resolve is stretched: the bound keeps its side's
    skewness. Bounds are NaN without a finite reach, or when under half of the draws are defined.
    """
    defined = draws[~np.isnan(draws)]
    if reach == inf or isnan(value) or 2 * len(defined) < len(draws):
        return Interval(value, nan, nan)
    far = min(reach, -_NORMAL.inv_cdf(min(0.4, _RESOLVED / len(defined))))
    tail = _NORMAL.cdf(-far)
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    stretch = reach / far
    return Interval(
        value, value + stretch * float(low - value), value + stretch * float(high - value)
    )


@lru_cache(maxsize=4096)
def reach(sessions: int, window: int, block: int, level: float) -> float:
    """Bootstrap standard errors from the estimate to a bound; infinite where nothing can be said.

    A t quantile, with the degrees of freedom that blocks leave, over the root of the share of the
    variance that blocks see (`_moments`). Independent sessions in blocks of one: Hesterberg's
    sqrt(n / (n - 1)) t(n - 1), exactly.
    """
    from scipy.stats import t

    share, freedom = _moments(sessions, window, block)
    if sessions < max(2, LEAST_WINDOWS * window) or share <= 0:
        return inf
    return float(t.ppf((1 + level) / 2, freedom)) / sqrt(share)


def normal_score(ratio: float, sessions: int, window: int, block: int) -> float:
    """The standard normal value as rare as an estimate of `ratio` bootstrap standard errors.

    What `reach` is to an interval: at its level both agree. NaN where nothing can be said.
    """
    from scipy.stats import norm, t

    share, freedom = _moments(sessions, window, block)
    if sessions < max(2, LEAST_WINDOWS * window) or share <= 0:
        return nan
    tail = t.sf(abs(ratio) * sqrt(share), freedom)
    return float(np.copysign(norm.isf(tail), ratio))


@lru_cache(maxsize=4096)
def _moments(sessions: int, window: int, block: int) -> tuple[float, float]:
    """Share of the true variance that blocks see on average, and its degrees of freedom.

    The variance of the circular bootstrap's means is a sum of periodogram ordinates weighted by
    Fejér's kernel of order `block`; each ordinate is the spectrum times a chi-square. Its mean and
    variance give a scaled chi-square (Satterthwaite 1946, Biometrics Bulletin 2(6)). The spectrum
    is that of the worst case: calls that never change, so that outcomes `window` sessions long
    overlap with full weight.
    """
    if sessions < 2:
        return 0.0, 1.0
    angles = np.pi * np.arange(1, sessions) / sessions
    ordinates = _fejer(angles, block) * _fejer(angles, window)
    lags = np.arange(1, min(window, sessions))
    variance = 1 + 2 * np.sum((1 - lags / window) * (1 - lags / sessions))
    total = float(ordinates.sum())
    if total <= 1e-9:
        return 0.0, 1.0
    return total / sessions / float(variance), total**2 / float((ordinates**2).sum())


def _fejer(angles: Floats, order: int) -> Floats:
    """Fejér's kernel: the spectrum of a sum of `order` neighbours over `order`."""
    return np.asarray((np.sin(order * angles) / np.sin(angles)) ** 2 / order, dtype=np.float64)


def deviations(sums: Sequence[Floats], decided_by: str) -> Floats:
    """What a block length is chosen by: how each session deviates, shape (sessions, k).

    `sums`: of each predictor (see `session_sums`). The deviations of the deciding metric's total
    from its mean, of every predictor, and of every difference of two.
    """
    column = ENTROPY if decided_by == "cross_entropy" else CORRECT
    parts = [
        own[:, column] - own[:, ROWS] * (own[:, column].sum() / own[:, ROWS].sum()) for own in sums
    ]
    pairs = [first - second for k, first in enumerate(parts) for second in parts[k + 1 :]]
    return np.column_stack([*parts, *pairs])
