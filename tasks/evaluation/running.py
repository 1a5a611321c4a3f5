"""A record as it grows: what could be said of a predictor at the end of each session."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.intervals import percentile_interval
from tasks.evaluation.metrics import Floats, called_up, cross_entropies
from tasks.evaluation.spec import EvaluationSpec

FIRST_INTERVAL = 5  # sessions; fewer say nothing about their own spread
RUNNING = ("accuracy", "cross_entropy")


def running_record(
    frame: pa.Table, p_up: Any, spec: EvaluationSpec | None = None, *, window: int | None = None
) -> pa.Table:
    """One row per session: n_examples, and accuracy and cross_entropy with _low and _high bounds.

    Over all sessions so far, or over the last `window` of them. `frame` as for `evaluate`.
    Intervals are pointwise: a curve looked at every day leaves its band more often than one
    look would. Bounds are null before the fifth session. Sessions are weighted by Poisson
    draws, so that the band of one day does not depend on the days after it.
    """
    spec = spec or EvaluationSpec()
    days, code = np.unique(frame["session"].to_numpy(), return_inverse=True)
    label = np.asarray(frame["label_up"].to_numpy(), dtype=bool)
    p = np.asarray(p_up, dtype=np.float64)
    values = {
        "accuracy": (called_up(p) == label).astype(np.float64),
        "cross_entropy": cross_entropies(label, p, spec.clip),
    }
    rng = np.random.default_rng([spec.seed, len(RUNNING)])
    # One column of draws per session, drawn session by session: later days change no earlier band.
    weights = np.vstack(
        [np.ones((1, len(days))), rng.poisson(1.0, (len(days), spec.resamples)).T]
    ).astype(np.float64)
    rows = _so_far(weights * np.bincount(code), window)
    columns: dict[str, Any] = {"session": pa.array(days), "n_examples": rows[0].astype(np.int64)}
    for metric in RUNNING:
        totals = _so_far(weights * np.bincount(code, values[metric]), window)
        with np.errstate(divide="ignore", invalid="ignore"):
            draws = totals / rows
        columns |= _banded(metric, draws, spec.level, window)
    return pa.table(columns)


def _so_far(per_session: Floats, window: int | None) -> Floats:
    total = np.cumsum(per_session, axis=1)
    if window is not None:
        total[:, window:] -= total[:, :-window].copy()
    return np.asarray(total, dtype=np.float64)


def _banded(metric: str, draws: Floats, level: float, window: int | None) -> dict[str, Any]:
    found = []
    for day in range(draws.shape[1]):
        sessions = min(day + 1, window or day + 1)
        enough = sessions if sessions >= FIRST_INTERVAL else 1
        found.append(percentile_interval(draws[0, day], draws[1:, day], level, enough))
    sides = {"": "value", "_low": "low", "_high": "high"}
    return {
        f"{metric}{suffix}": pa.array(
            [getattr(interval, side) for interval in found], pa.float64(), from_pandas=True
        )
        for suffix, side in sides.items()
    }
