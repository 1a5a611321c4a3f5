"""Slices of the examples, each measured with its own bootstrap of blocks of sessions, and paired
comparisons of two predictors on one slice: differences, power, adjusted p-values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation import metrics as measure
from tasks.evaluation.intervals import (
    Interval,
    Resampling,
    deviations,
    label_window,
    resampling,
)
from tasks.evaluation.metrics import METRICS, RANGES, Bools, Floats, Ints, called_up
from tasks.evaluation.spec import REFERENCE, TRIVIAL, EvaluationSpec


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice's rows and, per predictor, metrics as intervals and as bootstrap draws.

    The first draw is the sample itself. `resampling` says how long the blocks of sessions were.
    """

    name: str
    label: Bools
    p_up: Mapping[str, Floats]
    resampling: Resampling
    estimates: Mapping[str, Mapping[str, Interval]]
    draws: Mapping[str, Mapping[str, Floats]]

    @property
    def sessions(self) -> int:
        """How many sessions the rows come from."""
        return self.resampling.sessions


def row_sets(frame: pa.Table, spec: EvaluationSpec) -> dict[str, Ints]:
    """Row numbers by slice name, 'all' first.

    Always by availability; by ticker and period as the spec says; and by the optional columns
    `fold` (walk-forward) and `base_cutoff` (before or after the base model's training data end).
    """
    keys = {"": frame["availability"].to_numpy()}
    if spec.by_ticker:
        keys["ticker="] = frame["ticker"].to_numpy()
    if spec.period is not None:
        keys["period="] = _periods(frame["session"].to_numpy(), spec.period)
    for column in ("fold", "base_cutoff"):
        if column in frame.column_names:
            keys[f"{column}="] = frame[column].to_numpy()
    sets: dict[str, Ints] = {"all": np.arange(frame.num_rows)}
    for prefix, values in keys.items():
        names, codes = np.unique(values, return_inverse=True)
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes))
        for name, rows in zip(names, np.split(order, ends[:-1]), strict=True):
            sets[f"{prefix}{name}"] = rows
    return sets


def _periods(sessions: Any, period: str) -> Any:
    """`2015`, `2015Q4` or `2015-12` for each session date."""
    if period == "quarter":
        months = sessions.astype("datetime64[M]").astype(np.int64)
        text = sessions.astype("datetime64[Y]").astype(str)
        return np.char.add(text, np.array(["Q1", "Q2", "Q3", "Q4"])[months % 12 // 3])
    unit = {"year": "datetime64[Y]", "month": "datetime64[M]"}[period]
    return sessions.astype(unit).astype(str)


def measured(
    name: str,
    frame: pa.Table,
    p_up: Mapping[str, Any],
    spec: EvaluationSpec,
    *,
    metrics: Sequence[str] = METRICS,
) -> Slice:
    """Each of `metrics` for every predictor on one slice, with its bootstrap draws and interval.

    `frame`: one row per example with label_up (bool), session, label_start_ts and label_end_ts;
    `p_up`: predictor to P(up) aligned to it. The resamples of one slice are the same for all
    predictors, so draws may be subtracted. Raises EvaluationError without the label windows.
    """
    label = np.asarray(frame["label_up"].to_numpy(), dtype=bool)
    keys, codes = np.unique(frame["session"].to_numpy(), return_inverse=True)
    count = len(keys)
    columns = {key: np.asarray(values, dtype=np.float64) for key, values in p_up.items()}
    sums = {
        predictor: measure.session_sums(label, p, codes, count, bins=spec.bins, clip=spec.clip)
        for predictor, p in columns.items()
    }
    series = deviations(tuple(sums.values()), spec.decided_by)
    drawn = resampling(series, label_window(frame), spec, name)
    estimates, draws = {}, {}
    for predictor, probabilities in columns.items():
        values = measure.from_sums(drawn.weights @ sums[predictor])
        if "auroc" in metrics:
            values["auroc"] = measure.auroc(label, probabilities, codes, drawn.weights)
        draws[predictor] = values
        estimates[predictor] = {
            metric: drawn.interval(values[metric]).within(*RANGES.get(metric, (0.0, 1.0)))
            for metric in metrics
        }
    return Slice(name, label, columns, drawn, estimates, draws)


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

    def with_accuracy(self, accuracy: Interval, spec: EvaluationSpec) -> Comparison:
        """The same with other bounds of accuracy, as far as those reach from the estimate.

        What could be shown, and the rows that would show the claimed edge, follow from them.
        """
        former = self.accuracy.value - self.accuracy.low
        reach = accuracy.value - accuracy.low
        edge = self.detectable_edge + reach - former
        known = 0.0 < self.detectable_edge < inf
        rows = self.rows_needed * (edge / self.detectable_edge) ** 2 if known else nan
        return replace(self, accuracy=accuracy, detectable_edge=edge, rows_needed=rows)

    def worse(self, decided_by: str) -> bool:
        """Whether the interval of the deciding metric excludes zero on the bad side."""
        if decided_by == "cross_entropy":
            return self.cross_entropy.above_zero
        return self.accuracy.below_zero


def comparisons(part: Slice, predictor: str, spec: EvaluationSpec) -> list[Comparison]:
    """`predictor` against each baseline present in the slice, trivial ones first."""
    return [
        compared(part, predictor, baseline, spec)
        for baseline in (*TRIVIAL, *REFERENCE)
        if baseline in part.p_up and baseline != predictor
    ]


def compared(part: Slice, predictor: str, baseline: str, spec: EvaluationSpec) -> Comparison:
    """`predictor` minus `baseline` on one slice, from the bootstrap draws both share."""
    mine, theirs = part.draws[predictor], part.draws[baseline]
    drawn = part.resampling
    gap = mine["accuracy"] - theirs["accuracy"]
    error = drawn.error(gap)
    correct = called_up(part.p_up[predictor]) == part.label
    baseline_correct = called_up(part.p_up[baseline]) == part.label
    return Comparison(
        baseline=baseline,
        accuracy=drawn.interval(gap).within(-1.0, 1.0),
        cross_entropy=drawn.interval(mine["cross_entropy"] - theirs["cross_entropy"]),
        mcnemar_p=mcnemar(correct, baseline_correct),
        rows_needed=rows_needed(spec.claimed_edge, error, len(correct), spec.level, spec.power),
        detectable_edge=detectable_edge(drawn.critical, error, spec.power),
    )


def compare(
    frame: pa.Table, first: Any, second: Any, spec: EvaluationSpec, *, named: str
) -> Comparison:
    """`first` minus `second` (called `named`): two arrays of P(up) on the same labelled examples.

    For any pair: challenger and champion, masked and plain, calibrated and raw.
    """
    pair = {"first": first, named: second}
    return compared(measured("all", frame, pair, spec, metrics=PAIRED), "first", named, spec)


PAIRED = ("accuracy", "cross_entropy")
"""The metrics that comparisons give."""


def mcnemar(correct: Bools, baseline_correct: Bools) -> float:
    """Two-sided exact p-value that both predictors err equally often (McNemar 1947)."""
    from scipy.stats import binomtest

    wins = int(np.sum(correct & ~baseline_correct))
    losses = int(np.sum(~correct & baseline_correct))
    if wins + losses == 0:
        return 1.0
    return float(binomtest(wins, wins + losses, 0.5).pvalue)


def detectable_edge(critical: float, standard_error: float, power: float) -> float:
    """The true difference whose interval would exclude zero with this `power`.

    The interval reaches `critical` standard errors; infinite where there can be none.
    """
    return (critical + NormalDist().inv_cdf(power)) * standard_error


def rows_needed(edge: float, standard_error: float, rows: int, level: float, power: float) -> float:
    """Rows that would show `edge`, given the clustered standard error that `rows` rows have.

    The standard error shrinks with the root of the number of sessions; rows per session stay as
    they are, and so many of them that the interval is a normal one. NaN when the two predictors
    never differ.
    """
    if not standard_error > 0.0:
        return nan
    critical = NormalDist().inv_cdf((1 + level) / 2)
    return rows * (detectable_edge(critical, standard_error, power) / edge) ** 2


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values of Holm (1979): bounds the chance of even one false claim.

    Order is kept; compare with the level. Valid under any dependence between the tests.
    """
    p, order = _ascending(p_values)
    stepped = np.maximum.accumulate(p * np.arange(len(p), 0, -1))
    return _restored(stepped, order)


def benjamini_hochberg(p_values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values of Benjamini and Hochberg (1995): bounds the share of false claims.

    Order is kept. Valid for independent or positively dependent tests.
    """
    p, order = _ascending(p_values)
    scaled = p * len(p) / np.arange(1, len(p) + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    return _restored(stepped, order)


def _ascending(p_values: Sequence[float] | Floats) -> tuple[Floats, np.ndarray]:
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    return p[order], order


def _restored(adjusted: Floats, order: np.ndarray) -> Floats:
    result = np.empty_like(adjusted)
    result[order] = np.minimum(adjusted, 1.0)
    return result
