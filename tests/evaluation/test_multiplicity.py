"""Hazard of many tests: the luckiest ticker reported as skill."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.paired import benjamini_hochberg, holm
from tasks.evaluation.spec import EvaluationSpec


def test_adjusted_p_values_match_cases_worked_by_hand() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_many_tickers_of_noise_yield_no_adjusted_claim(make_frame) -> None:
    """Forty coins against a coin: some p-value is small, none is after the correction."""
    frame = make_frame(sessions=80, tickers=40)
    rng = np.random.default_rng(1)
    predictions = {"model": rng.random(3200), "majority": np.full(3200, 0.5)}
    rows = evaluate(frame, predictions, EvaluationSpec(resamples=100)).rows.to_pylist()

    def smallest(metric: str) -> float:
        values = [
            row["value"]
            for row in rows
            if (row["metric"], row["baseline"]) == (metric, "majority")
            and row["slice"].startswith("ticker=")
        ]
        assert len(values) == 40
        return min(values)

    assert smallest("mcnemar_p") < 0.05
    assert smallest("mcnemar_p_holm") > 0.05
    assert smallest("mcnemar_p_bh") > 0.05
