"""Hazards of pooling: rows counted twice, folds tested on what they were trained on."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.slices import Fold, pooled, with_base_cutoff
from tasks.evaluation.spec import EvaluationError, EvaluationSpec

SPEC = EvaluationSpec(resamples=200)


def _fold(name: str, frame: pa.Table, until: date) -> Fold:
    p_up = np.linspace(0.1, 0.9, frame.num_rows)
    return Fold(name, until, frame, {"model": p_up, "majority": np.full(frame.num_rows, 0.5)})


def _overall(rows: list[dict[str, Any]]) -> dict[tuple[str, ...], dict[str, Any]]:
    keys = ("predictor", "metric", "baseline")
    return {tuple(row[key] for key in keys): row for row in rows if row["slice"] == "all"}


def test_pooled_folds_equal_one_evaluation(make_frame) -> None:
    frame = make_frame(sessions=40)
    first, second = frame.slice(0, 100), frame.slice(100)
    folds = [_fold("1", first, date(2023, 12, 31)), _fold("2", second, date(2024, 1, 20))]
    together = evaluate(*pooled(folds), SPEC)
    whole = {
        name: np.concatenate([fold.predictions[name] for fold in folds])
        for name in ("model", "majority")
    }
    rows, expected = together.rows.to_pylist(), evaluate(frame, whole, SPEC).rows.to_pylist()
    assert _overall(rows) == _overall(expected)
    by_fold = {row["slice"]: row["n_examples"] for row in rows if row["slice"].startswith("fold=")}
    assert by_fold == {"fold=1": 100, "fold=2": 100}


def test_fold_tested_on_its_training_is_refused(make_frame) -> None:
    with pytest.raises(EvaluationError, match="must come after all training"):
        pooled([_fold("1", make_frame(), date(2024, 1, 1))])


def test_session_tested_twice_is_refused(make_frame) -> None:
    folds = [_fold(name, make_frame(), date(2023, 1, 1)) for name in "12"]
    with pytest.raises(EvaluationError, match="both test 2024-01-01"):
        pooled(folds)


def test_rows_from_before_the_base_models_cutoff_are_told_apart(make_frame) -> None:
    frame = with_base_cutoff(make_frame(sessions=10), date(2024, 1, 4))
    rows = evaluate(frame, {"model": np.full(50, 0.5)}, SPEC).rows.to_pylist()
    sizes = {row["slice"]: row["n_examples"] for row in rows if "base_cutoff" in row["slice"]}
    assert sizes == {"base_cutoff=before": 20, "base_cutoff=after": 30}


@pytest.mark.parametrize(
    ("period", "names"),
    [
        ("month", {"2024-01", "2024-02", "2024-03", "2024-04"}),
        ("quarter", {"2024Q1", "2024Q2"}),
        ("year", {"2024"}),
    ],
)
def test_periods_are_calendar_periods(make_frame, period: str, names: set[str]) -> None:
    frame = make_frame(sessions=100)
    spec = EvaluationSpec.model_validate({"resamples": 100, "period": period})
    slices = set(evaluate(frame, {"model": np.full(500, 0.5)}, spec).rows["slice"].to_pylist())
    assert {name.removeprefix("period=") for name in slices if "period" in name} == names
