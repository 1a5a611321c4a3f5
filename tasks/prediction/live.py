"""The forward record: judged like a back-test, then held against what the back-test promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.intervals import Interval, percentile_interval
from tasks.evaluation.metrics import Floats
from tasks.evaluation.slices import measured
from tasks.evaluation.spec import EvaluationError, EvaluationSpec

PROMISES = ("accuracy", "cross_entropy", "calibration_gap")
_SHARED = ("example_id", "ticker", "session", "label_up", "previous_return", "availability")


@dataclass(frozen=True, slots=True)
class Promise:
    """One metric of one predictor in the back-test and since.

    `shift` is forward minus back-test; its interval comes from resampling both spans
    independently. `broken` when it excludes zero.
    """

    predictor: str
    metric: str
    backtest: Interval
    forward: Interval
    shift: Interval

    @property
    def broken(self) -> bool:
        """Whether the forward record lies outside what the back-test promised."""
        return self.shift.above_zero or self.shift.below_zero

    @property
    def words(self) -> str:
        """The promise and what became of it."""
        state = "outside" if self.broken else "within"
        return (
            f"{self.predictor}: forward {self.metric.replace('_', ' ')} "
            f"{self.forward.value:.4f} is {state} what the back-test's {self.backtest.value:.4f} "
            f"promised (shift {self.shift.value:+.4f} [{self.shift.low:+.4f}, "
            f"{self.shift.high:+.4f}])."
        )


def aligned(
    matured: pa.Table, predictors: Sequence[str] | None = None
) -> tuple[pa.Table, dict[str, Floats]]:
    """Long predictions (one row per predictor and example) as `evaluate` wants them.

    Only examples that every one of `predictors` (default: all present) predicted are kept, so
    that comparisons are between equals. Raises EvaluationError when none is left, or when a
    predictor has two rows for one example.
    """
    names = matured["predictor"].to_numpy()
    wanted = list(dict.fromkeys(names)) if predictors is None else list(predictors)
    ids, first, example = np.unique(
        matured["example_id"].to_numpy(), return_index=True, return_inverse=True
    )
    p_up = matured["p_up"].to_numpy()
    columns: dict[str, Floats] = {}
    for name in wanted:
        mine = np.flatnonzero(names == name)
        if len(np.unique(example[mine])) != len(mine):
            raise EvaluationError(f"Predictor {name!r} has two predictions for one example.")
        columns[name] = np.full(len(ids), np.nan)
        columns[name][example[mine]] = p_up[mine]
    common = np.all([~np.isnan(column) for column in columns.values()], axis=0)
    if not wanted or not common.any():
        raise EvaluationError(
            f"No matured example was predicted by all of {', '.join(wanted) or 'no predictor'}; "
            "wait for a session to finish, or name fewer predictors."
        )
    # Chronological, as the rows came, rather than in the order of the ids.
    chosen = np.flatnonzero(common)
    chosen = chosen[np.argsort(first[chosen], kind="stable")]
    frame = matured.select([name for name in _SHARED if name in matured.column_names])
    return frame.take(first[chosen]), {name: column[chosen] for name, column in columns.items()}


def hold_to_promise(
    predictor: str,
    backtest: tuple[pa.Table, Any],
    forward: tuple[pa.Table, Any],
    spec: EvaluationSpec | None = None,
) -> tuple[Promise, ...]:
    """Compare one predictor's forward record with its back-test, metric by metric.

    Both sides are (examples, P(up)). The calibration gap is the mean P(up) less the share of ups:
    its shift is the drift of calibration.
    """
    spec = spec or EvaluationSpec()
    sides = {
        name: measured(
            name,
            np.asarray(frame["label_up"].to_numpy(), dtype=bool),
            {predictor: np.asarray(p_up, dtype=np.float64)},
            frame["session"].to_numpy(),
            spec,
        )
        for name, (frame, p_up) in {"backtest": backtest, "forward": forward}.items()
    }
    before, since = sides["backtest"], sides["forward"]
    promises = []
    for metric in PROMISES:
        gap = since.draws[predictor][metric] - before.draws[predictor][metric]
        fewer = min(before.sessions, since.sessions)
        promises.append(
            Promise(
                predictor=predictor,
                metric=metric,
                backtest=before.estimates[predictor][metric],
                forward=since.estimates[predictor][metric],
                shift=percentile_interval(gap[0], gap[1:], spec.level, fewer),
            )
        )
    return tuple(promises)
