"""Replication of published figures: each method over its seeds, one interval, what lies outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import pyarrow as pa

from tasks.evaluation.intervals import Interval
from tasks.evaluation.metrics import RANGES, Floats
from tasks.evaluation.published import Figure, Result
from tasks.evaluation.slices import Slice, measured
from tasks.evaluation.spec import EvaluationSpec

REPORTED = ("accuracy", "mcc")
Predictions = Mapping[str, Sequence[Floats]]
"""Method to its P(up) on the test rows, one array a seed."""


@dataclass(frozen=True, slots=True)
class Replicated:
    """One method on the test rows: `seeds`, metric to its value for each; and their mean.

    The interval of the mean over seeds resamples blocks of sessions, the same for every method: it
    says what other sessions would have given, not what other seeds would.
    """

    method: str
    seeds: Mapping[str, tuple[float, ...]]
    mean: Mapping[str, Interval]

    @property
    def spread(self) -> float:
        """Highest less lowest accuracy of the seeds, in points."""
        return 100.0 * (max(self.seeds["accuracy"]) - min(self.seeds["accuracy"]))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published figure, or a re-run of it, beside the interval of the same method here.

    `outside`: the metrics, of accuracy and MCC, whose figure lies outside our interval.
    """

    method: str
    figure: Result
    outside: tuple[str, ...]

    @property
    def words(self) -> str:
        """The comparison as a sentence."""
        what = "published" if isinstance(self.figure, Figure) else "re-run"
        where = f"outside ours in {' and '.join(self.outside)}" if self.outside else "inside ours"
        return f"{self.method}, {what}: {self.figure.words()}, {where} ({self.figure.source})."


def replicated(rows: pa.Table, predictions: Predictions, spec: EvaluationSpec) -> list[Replicated]:
    """Accuracy and MCC of every method, over its seeds and as their mean with an interval.

    `rows`: session, label_up, label_start_ts and label_end_ts of each test row. All methods share
    rows and resamples. Raises EvaluationError without the label windows.
    """
    named = {
        f"{method}\n{number}": p_up
        for method, seeds in predictions.items()
        for number, p_up in enumerate(seeds)
    }
    part = measured("all", rows, named, spec, metrics=REPORTED)
    return [_of_method(part, method, len(seeds)) for method, seeds in predictions.items()]


def _of_method(part: Slice, method: str, seeds: int) -> Replicated:
    draws = [part.draws[f"{method}\n{number}"] for number in range(seeds)]
    mean = {
        metric: part.resampling.interval(
            np.mean([values[metric] for values in draws], axis=0)
        ).within(*RANGES.get(metric, (0.0, 1.0)))
        for metric in REPORTED
    }
    return Replicated(
        method,
        {metric: tuple(float(values[metric][0]) for values in draws) for metric in REPORTED},
        mean,
    )


def compared_with(results: Sequence[Replicated], figures: Sequence[Figure]) -> list[Comparison]:
    """Every published figure and re-run of a method that was trained here, beside our interval."""
    ours = {item.method: item for item in results}
    return [
        Comparison(item.method, one, _outside(ours[item.method], one))
        for item in figures
        if item.method in ours
        for one in (item, *item.rerun)
    ]


def _outside(ours: Replicated, figure: Result) -> tuple[str, ...]:
    values = {"accuracy": figure.accuracy / 100.0, "mcc": figure.mcc}
    return tuple(
        metric
        for metric, value in values.items()
        if not isnan(ours.mean[metric].low)
        and not ours.mean[metric].low <= value <= ours.mean[metric].high
    )


def in_words(
    rows: pa.Table,
    results: Sequence[Replicated],
    comparisons: Sequence[Comparison],
    figures: Sequence[Figure],
) -> list[str]:
    """What the replication means, in sentences: skill, what lies outside, what was not trained."""
    sessions = len(rows["session"].unique())
    skilled = [item.method for item in results if item.mean["mcc"].above_zero]
    reach = max(item.mean["accuracy"].high - item.mean["accuracy"].low for item in results) / 2
    untrained = sorted({item.method for item in figures} - {item.method for item in results})
    return [
        f"{rows.num_rows:,} test rows in {sessions:,} sessions: an interval of accuracy here "
        f"reaches up to {100 * reach:.1f} points to each side, so figures that differ by less are "
        "not told apart by this test split.",
        f"MCC above zero with its whole interval: {', '.join(skilled) or 'none'}.",
        *(item.words for item in comparisons),
        *([f"Published, not trained here: {', '.join(untrained)}."] if untrained else []),
        "The published figures are not known to be of exactly these rows and have no predictions "
        "to pair with ours: whether one lies inside our interval is all that can be said.",
    ]
