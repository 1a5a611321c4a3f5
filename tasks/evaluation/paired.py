"""Two predictors on the same rows: is one better, and how many rows would show it?"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from statistics import NormalDist

import numpy as np

from tasks.evaluation.intervals import Interval
from tasks.evaluation.metrics import Bools


@dataclass(frozen=True, slots=True)
class Comparison:
    """A predictor minus a baseline, on the same rows and the same resampled sessions.

    `accuracy` is a difference of shares (positive: better), `cross_entropy` of nats (negative:
    better). `mcnemar_p` treats rows as independent and is given for reference; the intervals do
    not. `rows_needed` would show the spec's claimed edge with the spec's power;
    `detectable_edge` is what the present rows could show.
    """

    baseline: str
    accuracy: Interval
    cross_entropy: Interval
    mcnemar_p: float
    rows_needed: float
    detectable_edge: float

    def better(self, decided_by: str) -> bool:
        """Whether the interval of the deciding metric excludes zero on the good side."""
        if decided_by == "cross_entropy":
            return self.cross_entropy.below_zero
        return self.accuracy.above_zero

    def worse(self, decided_by: str) -> bool:
        """Whether the interval of the deciding metric excludes zero on the bad side."""
        if decided_by == "cross_entropy":
            return self.cross_entropy.above_zero
        return self.accuracy.below_zero


def mcnemar(correct: Bools, baseline_correct: Bools) -> float:
    """Two-sided exact p-value that both predictors err equally often (McNemar 1947)."""
    from scipy.stats import binomtest

    wins = int(np.sum(correct & ~baseline_correct))
    losses = int(np.sum(~correct & baseline_correct))
    if wins + losses == 0:
        return 1.0
    return float(binomtest(wins, wins + losses, 0.5).pvalue)


def detectable_edge(standard_error: float, level: float, power: float) -> float:
    """The true difference an interval of `level` would exclude zero for with this `power`."""
    normal = NormalDist()
    return (normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)) * standard_error


def rows_needed(edge: float, standard_error: float, rows: int, level: float, power: float) -> float:
    """Rows that would show `edge`, given the clustered standard error that `rows` rows have.

    The standard error shrinks with the root of the number of sessions; rows per session stay as
    they are. NaN when the two predictors never differ.
    """
    if not standard_error > 0.0:
        return nan
    return rows * (detectable_edge(standard_error, level, power) / edge) ** 2
