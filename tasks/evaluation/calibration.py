"""Probability calibration: fitted on the validation split, applied to any other, stored as JSON."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from tasks.evaluation.metrics import Bools, Floats
from tasks.evaluation.spec import EvaluationError

Method = Literal["platt", "temperature", "isotonic"]
_CLIP = 1e-6


class Calibration(BaseModel):
    """A monotone map of P(up).

    platt: sigmoid(slope * logit + intercept), Platt (1999). temperature: the same with
    intercept 0, Guo et al. (2017). isotonic: linear between `knots` and `heights`, from pool
    adjacent violators. `rows` counts the validation rows it was fitted on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[float, ...] = ()
    heights: tuple[float, ...] = ()
    rows: int = 0

    def apply(self, p_up: Any) -> Floats:
        """Calibrated P(up), in the order given."""
        p = np.asarray(p_up, dtype=np.float64)
        if self.method == "isotonic":
            return np.interp(p, self.knots, self.heights)
        return _sigmoid(self.slope * _logit(p) + self.intercept)


def fit_calibration(label: Any, p_up: Any, method: Method = "platt") -> Calibration:
    """Fit on validation outcomes and probabilities; never show it the split it is evaluated on.

    Raises EvaluationError unless both outcomes occur: with one class there is nothing to fit.
    """
    y, p = np.asarray(label, dtype=bool), np.asarray(p_up, dtype=np.float64)
    if y.shape != p.shape or y.all() or not y.any():
        raise EvaluationError(
            f"Calibration got {y.shape[0]} outcomes ({int(y.sum())} up) and {p.shape[0]} "
            "probabilities; expected equally many, with both outcomes present. Use a larger "
            "validation split."
        )
    if method == "isotonic":
        return _isotonic(y, p)
    ups, downs = int(y.sum()), int((~y).sum())
    if method == "temperature":
        slope, intercept = _newton(_logit(p)[:, None], y.astype(np.float64))[0], 0.0
    else:
        # Platt's targets keep the fit finite when the validation split is perfectly separated.
        target = np.where(y, (ups + 1) / (ups + 2), 1 / (downs + 2))
        design = np.column_stack([_logit(p), np.ones_like(p)])
        slope, intercept = _newton(design, target)
    return Calibration(method=method, slope=float(slope), intercept=float(intercept), rows=len(y))


def _isotonic(y: Bools, p: Floats) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(p, y)
    return Calibration(
        method="isotonic",
        knots=tuple(map(float, fitted.X_thresholds_)),
        heights=tuple(map(float, fitted.y_thresholds_)),
        rows=len(y),
    )


def _newton(design: Floats, target: Floats, steps: int = 100) -> Floats:
    """Logistic regression by Newton's method; a little ridge keeps constant inputs solvable."""
    weights = np.zeros(design.shape[1])
    ridge = 1e-9 * len(design) * np.eye(design.shape[1])
    for _ in range(steps):
        fitted = _sigmoid(design @ weights)
        gradient = design.T @ (target - fitted) - ridge @ weights
        curvature = (design * (fitted * (1 - fitted))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature, gradient)
        # Far from the optimum a full step may overshoot; ten logits a step never does harm.
        weights = weights + step * min(1.0, 10.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < 1e-10:
            break
    return weights


def _logit(p: Floats) -> Floats:
    bounded = np.clip(p, _CLIP, 1.0 - _CLIP)
    return np.asarray(np.log(bounded) - np.log1p(-bounded), dtype=np.float64)


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -500, 500))), dtype=np.float64)
