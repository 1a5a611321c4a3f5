"""Hazards after deployment: skill quietly lost, inputs that changed, alarms from noise."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

from tasks.evaluation.spec import EvaluationError, EvaluationSpec
from tasks.prediction.live import compare_live, drift_table, input_features, population_stability
from tests.builders.frames import MakeFrame

SPEC = EvaluationSpec(resamples=500)


def _skilled(frame: pa.Table, right: float, seed: int, *, sure: float = 0.7) -> np.ndarray:
    label = frame["label_up"].to_numpy()
    hit = np.random.default_rng(seed).random(len(label)) < right
    return np.where(label == hit, sure, 1 - sure)


def _spans(make_frame: MakeFrame, sessions: int, seed: int) -> tuple[pa.Table, pa.Table]:
    before = make_frame(sessions=120, seed=1)
    return before, make_frame(sessions=sessions, seed=seed, first=date(2024, 5, 1))


def _shifted(make_frame: MakeFrame, right: float, seed: int, *, sure: float = 0.7) -> set[str]:
    before, since = _spans(make_frame, 60, seed)
    found = compare_live(
        "model",
        (before, _skilled(before, 0.7, 2)),
        (since, _skilled(since, right, seed + 100, sure=sure)),
        SPEC,
    )
    return {item.metric for item in found if item.shifted}


def test_lost_skill_is_a_shift(make_frame) -> None:
    assert {"accuracy", "cross_entropy"} <= _shifted(make_frame, 0.5, 3)


def test_kept_skill_rarely_alarms(make_frame) -> None:
    alarms = sum("accuracy" in _shifted(make_frame, 0.7, seed) for seed in range(10, 30))
    assert alarms <= 3


def test_calibration_drift_is_not_taken_for_lost_accuracy(make_frame) -> None:
    before, since = _spans(make_frame, 120, 3)
    p_up = np.clip(_skilled(since, 0.7, 4) + 0.15, 0, 1)
    found = compare_live("model", (before, _skilled(before, 0.7, 2)), (since, p_up), SPEC)
    by_metric = {item.metric: item for item in found}
    assert by_metric["calibration_gap"].shifted
    assert not by_metric["accuracy"].shifted
    assert "differs from" in by_metric["calibration_gap"].words


def test_stability_index_matches_a_case_worked_by_hand() -> None:
    """Two bins, half and half before, three quarters in the upper one now."""
    reference = np.array([0.0, 0.0, 1.0, 1.0])
    current = np.array([0.0, 1.0, 1.0, 1.0])
    expected = (0.75 - 0.5) * np.log(0.75 / 0.5) + (0.25 - 0.5) * np.log(0.25 / 0.5)
    assert population_stability(reference, current, 2) == pytest.approx(expected)
    assert population_stability(reference, reference) == 0.0


def test_stability_index_of_a_shifted_normal_matches_theory() -> None:
    rng = np.random.default_rng(0)
    edges = norm.ppf(np.linspace(0, 1, 11))
    p, q = np.diff(norm.cdf(edges)), np.diff(norm.cdf(edges - 0.5))
    expected = np.sum((q - p) * np.log(q / p))
    found = population_stability(rng.normal(0, 1, 200_000), rng.normal(0.5, 1, 200_000))
    assert found == pytest.approx(expected, rel=0.03)


def test_drift_is_seen_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    reference = {"moved": rng.normal(0, 1, 2000), "still": rng.normal(0, 1, 2000)}
    current = {"moved": rng.normal(1, 1, 60), "still": rng.normal(0, 1, 60)}
    rows = {row["feature"]: row for row in drift_table(reference, current).to_pylist()}
    assert rows["moved"]["drift"] == "strong"
    assert rows["still"]["drift"] == "none"


def test_constant_feature_that_changes_is_drift() -> None:
    found = drift_table({"lines": np.full(200, 3.0)}, {"lines": np.full(50, 4.0)}).to_pylist()[0]
    assert (found["ks"], found["drift"]) == (1.0, "strong")


def test_features_are_read_from_examples() -> None:
    frame = pa.table({"input": ["a\nbc", "def"], "previous_return": [0.1, None]})
    found = input_features(frame)
    assert list(found["input_characters"]) == [4.0, 3.0]
    assert list(found["input_lines"]) == [2.0, 1.0]
    assert found["previous_return"] == pytest.approx([0.1, np.nan], nan_ok=True)


def test_drift_without_values_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="got 0 reference"):
        drift_table({"x": [np.nan]}, {"x": [1.0]})
