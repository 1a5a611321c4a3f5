"""Slices of the examples, each measured with its own session-clustered bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.evaluation import metrics as measure
from tasks.evaluation.intervals import Interval, percentile_interval, session_draws
from tasks.evaluation.metrics import METRICS, Bools, Floats, Ints
from tasks.evaluation.spec import EvaluationError, EvaluationSpec


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
    name: str,
    frame: pa.Table,
    p_up: Mapping[str, Any],
    spec: EvaluationSpec,
    *,
    metrics: Sequence[str] = METRICS,
) -> Slice:
    """Each of `metrics` for every predictor on one slice, with its bootstrap draws and interval.

    `frame`: one row per example with label_up (bool) and session; `p_up`: predictor to P(up)
    aligned to it. The resamples of one slice are the same for all predictors, so draws may be
    subtracted.
    """
    label = np.asarray(frame["label_up"].to_numpy(), dtype=bool)
    keys, codes = np.unique(frame["session"].to_numpy(), return_inverse=True)
    count = len(keys)
    weights = np.vstack([np.ones(count), session_draws(count, spec.resamples, spec.seed, name)])
    columns = {key: np.asarray(values, dtype=np.float64) for key, values in p_up.items()}
    estimates, draws = {}, {}
    for predictor, probabilities in columns.items():
        sums = measure.session_sums(
            label, probabilities, codes, count, bins=spec.bins, clip=spec.clip
        )
        values = measure.from_sums(weights @ sums)
        if "auroc" in metrics:
            values["auroc"] = measure.auroc(label, probabilities, codes, weights)
        draws[predictor] = values
        estimates[predictor] = {
            metric: percentile_interval(values[metric][0], values[metric][1:], spec.level, count)
            for metric in metrics
        }
    return Slice(name, label, columns, count, estimates, draws)


@dataclass(frozen=True, slots=True)
class Fold:
    """One walk-forward fold: test examples and each predictor's P(up), fitted on earlier sessions.

    `trained_until` is the last session any predictor of the fold was fitted or tuned on.
    """

    name: str
    trained_until: date
    frame: pa.Table
    predictions: Mapping[str, Any]


def pooled(folds: Sequence[Fold]) -> tuple[pa.Table, dict[str, Floats]]:
    """The folds' test examples and predictions as one, with the column `fold` for its slices.

    Raises EvaluationError when a fold was trained on its own test sessions, when two folds test
    the same session, or when the folds do not have the same predictors.
    """
    if not folds:
        raise EvaluationError("Walk-forward got no fold; expected at least one.")
    seen: dict[Any, str] = {}
    for fold in folds:
        sessions = pc.unique(fold.frame["session"]).to_pylist()
        if min(sessions) <= fold.trained_until:
            raise EvaluationError(
                f"Fold {fold.name!r} was trained until {fold.trained_until} and tests "
                f"{min(sessions)}; a test session must come after all training."
            )
        shared = sorted(set(sessions) & seen.keys())
        if shared:
            raise EvaluationError(
                f"Folds {seen[shared[0]]!r} and {fold.name!r} both test {shared[0]}; "
                "pooled rows would count twice. Make test spans disjoint."
            )
        if fold.predictions.keys() != folds[0].predictions.keys():
            raise EvaluationError(
                f"Fold {fold.name!r} has predictors {sorted(fold.predictions)}, the first has "
                f"{sorted(folds[0].predictions)}; expected the same."
            )
        seen |= dict.fromkeys(sessions, fold.name)
    frames = [
        fold.frame.append_column("fold", pa.array([fold.name] * fold.frame.num_rows))
        for fold in folds
    ]
    together = {
        name: np.concatenate([np.asarray(fold.predictions[name]) for fold in folds])
        for name in folds[0].predictions
    }
    return pa.concat_tables(frames), together


def with_base_cutoff(frame: pa.Table, cutoff: date) -> pa.Table:
    """Mark each example as before or after the base model's training data end.

    A base model may have read what happened until `cutoff`; only the slice `base_cutoff=after`
    is free of its memory.
    """
    after = pc.greater(frame["session"], pa.scalar(cutoff))
    return frame.append_column("base_cutoff", pc.if_else(after, "after", "before"))
