"""Slices of the examples, each measured with its own session-clustered bootstrap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation import metrics as measure
from tasks.evaluation.intervals import Interval, percentile_interval, session_draws
from tasks.evaluation.metrics import METRICS, Bools, Floats, Ints
from tasks.evaluation.paired import Comparison, detectable_edge, mcnemar, rows_needed
from tasks.evaluation.spec import REFERENCE, TRIVIAL, EvaluationSpec


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice's rows and, per predictor, metrics as intervals and as bootstrap draws.

    The first draw is the sample itself.
    """

    name: str
    label: Bools
    p_up: Mapping[str, Floats]
    sessions: int
    estimates: Mapping[str, Mapping[str, Interval]]
    draws: Mapping[str, Mapping[str, Floats]]


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
    name: str, label: Bools, p_up: Mapping[str, Floats], session: Any, spec: EvaluationSpec
) -> Slice:
    """Every metric of every predictor on one slice, with its bootstrap draws and interval.

    `session`: each row's session; the resamples of one slice are the same for all predictors, so
    draws may be subtracted.
    """
    keys, codes = np.unique(session, return_inverse=True)
    count = len(keys)
    weights = np.vstack([np.ones(count), session_draws(count, spec.resamples, spec.seed, name)])
    estimates, draws = {}, {}
    for predictor, probabilities in p_up.items():
        sums = measure.session_sums(
            label, probabilities, codes, count, bins=spec.bins, clip=spec.clip
        )
        values = measure.from_sums(weights @ sums)
        values["auroc"] = measure.auroc(label, probabilities, codes, weights)
        draws[predictor] = values
        estimates[predictor] = {
            metric: percentile_interval(values[metric][0], values[metric][1:], spec.level, count)
            for metric in METRICS
        }
    return Slice(name, label, p_up, count, estimates, draws)


def comparisons(part: Slice, predictor: str, spec: EvaluationSpec) -> list[Comparison]:
    """`predictor` against each baseline present in the slice, trivial ones first."""
    return [
        compared(part, predictor, baseline, spec)
        for baseline in (*TRIVIAL, *REFERENCE)
        if baseline in part.p_up and baseline != predictor
    ]


def compared(part: Slice, predictor: str, baseline: str, spec: EvaluationSpec) -> Comparison:
    mine, theirs = part.draws[predictor], part.draws[baseline]
    intervals = {}
    for metric in ("accuracy", "cross_entropy"):
        gap = mine[metric] - theirs[metric]
        intervals[metric] = percentile_interval(gap[0], gap[1:], spec.level, part.sessions)
    error = float(np.std(mine["accuracy"][1:] - theirs["accuracy"][1:]))
    correct = measure.called_up(part.p_up[predictor]) == part.label
    baseline_correct = measure.called_up(part.p_up[baseline]) == part.label
    return Comparison(
        baseline=baseline,
        accuracy=intervals["accuracy"],
        cross_entropy=intervals["cross_entropy"],
        mcnemar_p=mcnemar(correct, baseline_correct),
        rows_needed=rows_needed(spec.claimed_edge, error, len(correct), spec.level, spec.power),
        detectable_edge=detectable_edge(error, spec.level, spec.power),
    )


def compare(
    frame: pa.Table, first: Any, second: Any, spec: EvaluationSpec, *, named: str
) -> Comparison:
    """`first` minus `second` (called `named`): two arrays of P(up) on the same labelled examples.

    For any pair: challenger and champion, masked and plain, calibrated and raw.
    """
    label = np.asarray(frame["label_up"].to_numpy(), dtype=bool)
    pair = {"first": np.asarray(first, np.float64), named: np.asarray(second, np.float64)}
    part = measured("all", label, pair, frame["session"].to_numpy(), spec)
    return compared(part, "first", named, spec)
