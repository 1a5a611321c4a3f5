"""Hazards of calibration: fitted on the wrong split, blown up by separation, order destroyed."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tasks.evaluation.calibration import Calibration, Method, fit_calibration
from tasks.evaluation.spec import EvaluationError


def _overconfident(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores three times too sure of themselves and leaning up."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 1, n)
    label = rng.random(n) < 1 / (1 + np.exp(-logit))
    return label, 1 / (1 + np.exp(-(3 * logit + 1)))


def _entropy(label: np.ndarray, p: np.ndarray) -> float:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return float(-np.mean(np.log(np.where(label, p, 1 - p))))


@pytest.mark.parametrize("method", get_args(Method))
def test_calibration_improves_unseen_cross_entropy(method: Method) -> None:
    fitted = fit_calibration(*_overconfident(3000, 0), method)
    label, p_up = _overconfident(3000, 1)
    assert _entropy(label, fitted.apply(p_up)) < _entropy(label, p_up) - 0.05
    assert Calibration.model_validate_json(fitted.model_dump_json()) == fitted


def test_platt_undoes_a_known_distortion() -> None:
    fitted = fit_calibration(*_overconfident(50_000, 0), "platt")
    assert fitted.slope == pytest.approx(1 / 3, abs=0.02)
    assert fitted.intercept == pytest.approx(-1 / 3, abs=0.03)


def test_temperature_matches_scikit_learn() -> None:
    label, p_up = _overconfident(2000, 0)
    logit = np.log(p_up / (1 - p_up))[:, None]
    model = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-10).fit(logit, label)
    assert fit_calibration(label, p_up, "temperature").slope == pytest.approx(
        model.coef_[0, 0], rel=1e-4
    )


def test_perfect_separation_stays_finite() -> None:
    label = np.array([False] * 20 + [True] * 20)
    p_up = np.where(label, 0.99, 0.01)
    fitted = fit_calibration(label, p_up, "platt")
    assert fitted.apply(p_up)[-1] == pytest.approx(21 / 22, abs=1e-3)


def test_constant_input_becomes_the_base_rate() -> None:
    label = np.arange(100) < 70
    fitted = fit_calibration(label, np.full(100, 0.5), "platt")
    assert fitted.apply(np.array([0.5]))[0] == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("method", get_args(Method))
def test_order_is_kept(method: Method) -> None:
    fitted = fit_calibration(*_overconfident(500, 3), method)
    assert (np.diff(fitted.apply(np.linspace(0, 1, 101))) >= 0).all()


def test_one_class_is_refused() -> None:
    with pytest.raises(EvaluationError, match="both outcomes"):
        fit_calibration([True, True], [0.5, 0.6])
