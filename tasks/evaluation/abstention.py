"""Abstention with a stated error: no call where P(up) is too near one half.

The threshold is chosen on the validation split so that the error of the calls that remain is
bounded, with sessions as the unit: learn then test (Angelopoulos, Bates, Candès, Jordan and Lei
2021, arXiv:2110.01052), each candidate tested by betting (see `sequential`). The bound is about
sessions like those of the validation split. That later ones are like them is an assumption, which
markets may break; the test split shows what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.evaluate import Key, exact, whole_rows
from tasks.evaluation.intervals import Interval, label_window, resampling
from tasks.evaluation.metrics import Bools, Floats, called_up
from tasks.evaluation.sequential import gains_of, lower_bound
from tasks.evaluation.spec import AbstentionSpec, EvaluationSpec

THRESHOLD, STATED = "abstention_threshold", "abstention_error"
SELECTIVE_ERROR, COVERAGE = "selective_error", "selective_coverage"
"""Metrics: least distance of P(up) from one half; the error stated; that found; calls made."""

SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Candidates, by the share of validation examples that would be called: all of them first."""


@dataclass(frozen=True, slots=True)
class Abstention:
    """When to make no call.

    `threshold`: a call is made where P(up) is at least this far from one half; None where no
    candidate keeps the `error` stated at `level`, and so no call may be made.
    """

    threshold: float | None
    error: float
    level: float

    def called(self, p_up: Any) -> Bools:
        """For which probabilities a call is made."""
        p = np.asarray(p_up, dtype=np.float64)
        if self.threshold is None:
            return np.zeros(len(p), dtype=bool)
        return confidence(p) >= self.threshold


def confidence(p_up: Floats) -> Floats:
    """How far a probability is from one half."""
    return np.asarray(np.abs(p_up - 0.5), dtype=np.float64)


def choose_abstention(frame: pa.Table, p_up: Any, spec: AbstentionSpec) -> Abstention:
    """The smallest threshold whose calls are shown to keep the error, on the validation split.

    Each candidate's accuracy has a bound from below that holds with its fifth of 1 - level (a union
    bound), whatever the dependence within a session; the threshold taken is the lowest whose bound
    reaches 1 - error. Candidates are fifths of the split's own confidences, which know no outcome.

    `frame`: session, label_up, label_start_ts and label_end_ts; `p_up` aligned to it.
    """
    p = np.asarray(p_up, dtype=np.float64)
    label = np.asarray(frame["label_up"].to_numpy(), dtype=bool)
    right = (called_up(p) == label).astype(np.float64)
    distance = confidence(p)
    alpha = (1 - spec.level) / len(SHARES)
    for share in SHARES:
        threshold = float(np.quantile(distance, 1 - share, method="lower"))
        kept = distance >= threshold
        gains = gains_of(frame.filter(pa.array(kept)), right[kept], 0.0, 1.0)
        if lower_bound(gains, alpha) >= 1 - spec.error:
            return Abstention(threshold, spec.error, spec.level)
    return Abstention(None, spec.error, spec.level)


def abstaining(
    frame: pa.Table, predictor: str, p_up: Any, abstention: Abstention, spec: EvaluationSpec
) -> pa.Table:
    """Rows of the evaluation table: threshold (null: no call at all), stated and actual error.

    `frame`: the test examples, as for `selective`. Schema: `ROWS`.
    """
    error, coverage = selective(frame, p_up, abstention, spec)
    threshold = nan if abstention.threshold is None else abstention.threshold
    found: dict[Key, Interval] = {
        (THRESHOLD, None): exact(threshold),
        (STATED, None): exact(abstention.error),
        (SELECTIVE_ERROR, None): error,
        (COVERAGE, None): coverage,
    }
    return whole_rows(frame, predictor, found)


def selective(
    frame: pa.Table, p_up: Any, abstention: Abstention, spec: EvaluationSpec
) -> tuple[Interval, Interval]:
    """Error of the calls that are made, and the share of examples that get one, with intervals.

    The error is NaN where no call is made. `frame` as for `choose_abstention`, of another split.
    """
    p = np.asarray(p_up, dtype=np.float64)
    called = abstention.called(p)
    wrong = called & (called_up(p) != np.asarray(frame["label_up"].to_numpy(), dtype=bool))
    sessions, code = np.unique(frame["session"].to_numpy(), return_inverse=True)
    sums = np.column_stack(
        [np.bincount(code, one, len(sessions)) for one in (np.ones(len(p)), called, wrong)]
    )
    rows, calls, errors = sums.T
    rate = errors.sum() / calls.sum() if called.any() else 0.0
    series = np.column_stack([errors - rate * calls, calls - rows * called.mean()])
    drawn = resampling(series, label_window(frame), spec, "abstention")
    rows, calls, errors = (drawn.weights @ sums).T
    coverage = drawn.interval(calls / rows).within(0.0, 1.0)
    if not called.any():
        return Interval(nan, nan, nan), coverage
    shares = np.divide(errors, calls, out=np.full(len(calls), nan), where=calls > 0)
    return drawn.interval(shares).within(0.0, 1.0), coverage
