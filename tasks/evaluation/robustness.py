"""Robustness checks of a predictor: calibrated, names masked, what its calls would earn.

They are rows of the evaluation table (slice `all`) beside the predictor's own, never verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.calibration import Calibration
from tasks.evaluation.evaluate import Key, exact, whole_rows
from tasks.evaluation.intervals import Interval
from tasks.evaluation.slices import compared, measured
from tasks.evaluation.spec import EvaluationError, EvaluationSpec, TradingSpec
from tasks.evaluation.verdict import WHOLE

CALIBRATED = "calibrated"
MASKED = "masked"
PLAIN = "plain"
VARIANT_METRICS = ("accuracy", "cross_entropy", "brier", "ece")

ILLUSTRATION = (
    "Illustration, not a strategy: equal weights, fills at the label's prices, no slippage beyond "
    "the stated cost, no borrowing fee, no limit on size."
)


def variant(
    frame: pa.Table, predictor: str, plain: Any, other: Any, name: str, spec: EvaluationSpec
) -> pa.Table:
    """`other`, a variant `name` of the same predictor's P(up), beside its `plain` one.

    One row per metric of `VARIANT_METRICS` as `METRIC_NAME`, and the paired differences, other
    minus plain, as accuracy_NAME and cross_entropy_NAME with the baseline `plain`. Schema: `ROWS`.
    """
    part = measured(WHOLE, frame, {PLAIN: plain, name: other}, spec, metrics=VARIANT_METRICS)
    change = compared(part, name, PLAIN, spec)
    found: dict[Key, Interval] = {
        (f"{metric}_{name}", None): part.estimates[name][metric] for metric in VARIANT_METRICS
    }
    found[f"accuracy_{name}", PLAIN] = change.accuracy
    found[f"cross_entropy_{name}", PLAIN] = change.cross_entropy
    return whole_rows(frame, predictor, found)


def calibrated(
    frame: pa.Table, predictor: str, plain: Any, calibration: Calibration, spec: EvaluationSpec
) -> pa.Table:
    """The predictor calibrated, beside its raw probabilities, and what the map was fitted on."""
    rows = variant(frame, predictor, plain, calibration.apply(plain), CALIBRATED, spec)
    fit = {"calibration_rows": float(calibration.rows)}
    if calibration.method != "isotonic":
        fit |= {
            "calibration_slope": calibration.slope,
            "calibration_intercept": calibration.intercept,
        }
    return pa.concat_tables([rows, _exact_rows(frame, predictor, fit)])


def trading_curve(frame: pa.Table, p_up: Any, spec: TradingSpec | None = None) -> pa.Table:
    """One row per session: positions, gross, cost, net, and growth of 1 for net, gross, holding.

    `frame`: session and label_return (the tradable window's simple return). Every position opens
    and closes within its own window and so pays the cost twice; capital is spread equally over
    the session's positions, and idle without any. `holding` buys every example's ticker, free of
    cost. Show it only with the words of `ILLUSTRATION`. Raises EvaluationError on null returns.
    """
    spec = spec or TradingSpec()
    if frame["label_return"].null_count:
        raise EvaluationError("A trading curve needs label_return on every example; some are null.")
    sessions, code = np.unique(frame["session"].to_numpy(), return_inverse=True)
    returns = frame["label_return"].to_numpy()
    tilt = np.asarray(p_up, dtype=np.float64) - 0.5
    side = np.where(tilt >= spec.band, 1.0, np.where(tilt <= -spec.band, -1.0, 0.0))
    side = side if spec.short else np.maximum(side, 0.0)
    count = len(sessions)
    positions = np.bincount(code, np.abs(side), count)
    gross = np.bincount(code, side * returns, count) / np.maximum(positions, 1.0)
    cost = np.where(positions > 0, 2 * spec.cost, 0.0)
    holding = np.bincount(code, returns, count) / np.bincount(code, minlength=count)
    return pa.table(
        {
            "session": pa.array(sessions),
            "positions": positions.astype(np.int64),
            "gross": gross,
            "cost": cost,
            "net": gross - cost,
            "growth_net": np.cumprod(1 + gross - cost),
            "growth_gross": np.cumprod(1 + gross),
            "growth_holding": np.cumprod(1 + holding),
        }
    )


def illustrated(frame: pa.Table, predictor: str, p_up: Any, spec: EvaluationSpec) -> pa.Table:
    """What 1 would have become by the calls, after and before costs, and by holding everything.

    `frame` needs label_return. An illustration after the stated cost; no interval, no claim.
    """
    curve = trading_curve(frame, p_up, spec.trading)
    last = {
        f"illustration_{name}": float(curve[f"growth_{name}"][-1].as_py())
        for name in ("net", "gross", "holding")
    }
    cost = {"illustration_cost_per_side": spec.trading.cost}
    return _exact_rows(frame, predictor, last | cost)


def _exact_rows(frame: pa.Table, predictor: str, values: Mapping[str, float]) -> pa.Table:
    return whole_rows(
        frame, predictor, {(name, None): exact(value) for name, value in values.items()}
    )
