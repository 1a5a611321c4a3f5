"""Second looks at a judged predictor: calibrated, with names masked, and what its calls would earn.

They are rows of the evaluation table (slice `all`) beside the predictor's own, never verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.calibration import Calibration
from tasks.evaluation.evaluate import ROWS
from tasks.evaluation.intervals import Interval
from tasks.evaluation.slices import compared, measured
from tasks.evaluation.spec import EvaluationSpec
from tasks.evaluation.trading import trading_curve

CALIBRATED = "calibrated"
MASKED = "masked"
ILLUSTRATION = "illustration"
PLAIN = "plain"
LOOKED_AT = ("accuracy", "cross_entropy", "brier", "ece")


def another_way(
    frame: pa.Table, predictor: str, plain: Any, other: Any, name: str, spec: EvaluationSpec
) -> pa.Table:
    """`other`, the same predictor's P(up) another way, beside its `plain` one on the same rows.

    One row per metric of `LOOKED_AT` as `METRIC_NAME`, and the paired differences, other minus
    plain, as `accuracy_NAME_vs_plain` and `cross_entropy_NAME_vs_plain`. Schema: `ROWS`.
    """
    label = np.asarray(frame["label_up"].to_numpy(), dtype=bool)
    pair = {PLAIN: np.asarray(plain, np.float64), name: np.asarray(other, np.float64)}
    part = measured("all", label, pair, frame["session"].to_numpy(), spec)
    change = compared(part, name, PLAIN, spec)
    found = {f"{metric}_{name}": part.estimates[name][metric] for metric in LOOKED_AT}
    found[f"accuracy_{name}_vs_{PLAIN}"] = change.accuracy
    found[f"cross_entropy_{name}_vs_{PLAIN}"] = change.cross_entropy
    return _rows(frame, predictor, found)


def calibrated(
    frame: pa.Table, predictor: str, plain: Any, calibration: Calibration, spec: EvaluationSpec
) -> pa.Table:
    """The predictor calibrated, beside its raw probabilities, and what the map was fitted on."""
    looked = another_way(frame, predictor, plain, calibration.apply(plain), CALIBRATED, spec)
    fit = {"calibration_rows": float(calibration.rows)}
    if calibration.method != "isotonic":
        fit |= {
            "calibration_slope": calibration.slope,
            "calibration_intercept": calibration.intercept,
        }
    return pa.concat_tables([looked, _rows(frame, predictor, _exact(fit))])


def illustrated(frame: pa.Table, predictor: str, p_up: Any, spec: EvaluationSpec) -> pa.Table:
    """What 1 would have become by the calls, after and before costs, and by holding everything.

    `frame` needs label_return. An illustration after the stated cost; no interval, no claim.
    """
    curve = trading_curve(frame, p_up, spec.trading)
    last = {
        f"{ILLUSTRATION}_{name}": float(curve[f"growth_{name}"][-1].as_py())
        for name in ("net", "gross", "holding")
    }
    return _rows(
        frame, predictor, _exact({**last, f"{ILLUSTRATION}_cost_per_side": spec.trading.cost})
    )


def _exact(values: Mapping[str, float]) -> dict[str, Interval]:
    return {name: Interval(value, nan, nan) for name, value in values.items()}


def _rows(frame: pa.Table, predictor: str, found: Mapping[str, Interval]) -> pa.Table:
    sessions = len(frame["session"].unique())
    records = [
        {
            "slice": "all",
            "predictor": predictor,
            "metric": metric,
            "value": _finite(item.value),
            "ci_low": _finite(item.low),
            "ci_high": _finite(item.high),
            "n_examples": frame.num_rows,
            "n_sessions": sessions,
        }
        for metric, item in found.items()
    ]
    return pa.Table.from_pylist(records, schema=ROWS)


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None
