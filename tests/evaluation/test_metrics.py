"""Metrics against hand-computed cases and scikit-learn; a wrong metric misleads every reader."""

from __future__ import annotations

import warnings
from math import isnan, log

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.evaluation.metrics import auroc, from_sums, session_sums


def _metrics(label: np.ndarray, p_up: np.ndarray, session: np.ndarray) -> dict[str, float]:
    count = int(session.max()) + 1
    sums = session_sums(label, p_up, session, count, bins=10, clip=1e-6)
    found = from_sums(np.ones((1, count)) @ sums)
    found["auroc"] = auroc(label, p_up, session, np.ones((1, count)))
    return {name: float(values[0]) for name, values in found.items()}


def test_metrics_match_a_case_worked_by_hand() -> None:
    label = np.array([True, True, False, False, True])
    p_up = np.array([0.9, 0.4, 0.2, 0.6, 0.6])
    found = _metrics(label, p_up, np.array([0, 0, 1, 1, 1]))
    # Called up: rows 1, 4, 5; correct: rows 1, 3, 5.
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["mcc"] == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 2 * 3 * 2))
    # Of 3 x 2 pairs: 0.9 beats both, 0.4 beats one, 0.6 beats one and ties one.
    assert found["auroc"] == pytest.approx(4.5 / 6)
    expected = -(log(0.9) + log(0.4) + log(0.8) + log(0.4) + log(0.6)) / 5
    assert found["cross_entropy"] == pytest.approx(expected)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.04 + 0.36 + 0.16) / 5)
    # Bins: 0.9 (gap -.1), 0.4 (-.6), 0.2 (+.2), 0.6 twice (1.2 - 1 = +.2).
    assert found["ece"] == pytest.approx((0.1 + 0.6 + 0.2 + 0.2) / 5)
    assert found["calibration_gap"] == pytest.approx(2.7 / 5 - 3 / 5)
    assert found["predicted_up_share"] == pytest.approx(3 / 5)
    assert found["up_share"] == pytest.approx(3 / 5)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 3), st.integers(1, 4)),
        min_size=2,
        max_size=40,
    )
)
def test_weighted_metrics_match_scikit_learn_on_repeated_rows(
    rows: list[tuple[bool, int, int, int]],
) -> None:
    """Drawing a session k times must equal writing its rows k times."""
    label = np.array([row[0] for row in rows])
    p_up = np.array([row[1] for row in rows]) / 20
    session = np.array([row[2] for row in rows])
    drawn = np.array([2.0, 0.0, 1.0, 3.0])
    times = drawn[session].astype(int)
    if not times.sum():
        return
    sums = session_sums(label, p_up, session, 4, bins=10, clip=1e-6)
    found = {name: values[0] for name, values in from_sums(drawn[None] @ sums).items()}
    found["auroc"] = auroc(label, p_up, session, drawn[None])[0]
    y, p = np.repeat(label, times), np.repeat(p_up, times)
    call = p >= 0.5
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(y, call))
    assert found["brier"] == pytest.approx(np.mean((p - y) ** 2))
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    loss = reference.log_loss(y, clipped, labels=[False, True])
    assert found["cross_entropy"] == pytest.approx(loss)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found["mcc"] == pytest.approx(reference.matthews_corrcoef(y, call), abs=1e-12)
    if y.all() or not y.any():
        assert isnan(found["auroc"])
        assert isnan(found["balanced_accuracy"])
    else:
        assert found["auroc"] == pytest.approx(reference.roc_auc_score(y, p))
        balanced = reference.balanced_accuracy_score(y, call)
        assert found["balanced_accuracy"] == pytest.approx(balanced)


def test_auroc_in_blocks_equals_auroc_at_once(monkeypatch) -> None:
    rng = np.random.default_rng(1)
    label, p_up = rng.random(200) < 0.4, rng.random(200).round(1)
    session = np.repeat(np.arange(20), 10)
    weights = rng.multinomial(20, [0.05] * 20, size=50).astype(float)
    whole = auroc(label, p_up, session, weights)
    monkeypatch.setattr("tasks.evaluation.metrics._CELLS", 1)
    assert np.array_equal(whole, auroc(label, p_up, session, weights))


def test_certain_and_wrong_stays_finite() -> None:
    found = _metrics(np.array([True, False]), np.array([0.0, 0.0]), np.array([0, 1]))
    assert found["cross_entropy"] == pytest.approx((-log(1e-6) - log(1 - 1e-6)) / 2)
