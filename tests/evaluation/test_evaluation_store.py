"""Hazards of the store: reruns that write, a promotion undone, examples lost by alignment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.spec import EvaluationSpec
from tests.builders.rows import append, example, model
from warehouse.lake import Lake, LakeError
from warehouse.tables.evaluations import evaluation_frame, store_evaluation
from warehouse.tables.models import read_models, set_stage, store_model
from warehouse.tables.predictions import read_predictions, store_backtest

NOON = datetime(2024, 1, 9, 12, tzinfo=UTC)
LATER = datetime(2024, 1, 10, 12, tzinfo=UTC)
MODEL = model("m1", created_at=NOON)


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Four examples on four days, the last without an outcome."""
    opened = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
    labels = enumerate(("up", "down", "up", None))
    days = [example(f"e{n}", opened + timedelta(days=n), label) for n, label in labels]
    append(lake, "examples", days)
    return lake


def test_frame_keeps_the_order_asked_for(filled) -> None:
    frame = evaluation_frame(filled, "s1", pa.array(["e2", "e0", "e1"]))
    assert frame["example_id"].to_pylist() == ["e2", "e0", "e1"]
    assert frame["label_up"].to_pylist() == [True, True, False]


@pytest.mark.parametrize("absent", ["e3", "unknown"])
def test_unlabelled_or_unknown_example_is_refused_not_dropped(filled, absent: str) -> None:
    with pytest.raises(LakeError, match="Of 2 examples asked for, 1"):
        evaluation_frame(filled, "s1", pa.array(["e0", absent]))


def test_rerun_is_idempotent_and_a_changed_number_is_stored(filled) -> None:
    frame = evaluation_frame(filled, "s1", pa.array(["e0", "e1", "e2"]))
    predictions = {"finetuned": np.array([0.8, 0.2, 0.7]), "majority": np.full(3, 0.6)}
    models = {"finetuned": "m1"}
    found = evaluate(frame, predictions, EvaluationSpec(resamples=100))

    def store(p_up: dict[str, np.ndarray], now: datetime) -> None:
        rows = evaluate(frame, p_up, EvaluationSpec(resamples=100)).rows
        store_evaluation(filled, rows, dataset_id="d1", split="test", model_ids=models, now=now)
        store_backtest(filled, frame, p_up, dataset_id="d1", model_ids=models, now=now)
        store_model(filled, replace(MODEL, created_at=now))

    store(predictions, NOON)
    snapshot = filled.snapshot_id()
    store(predictions, LATER)
    assert filled.snapshot_id() == snapshot

    stored = filled.sql("FROM evaluations")
    assert stored.num_rows == found.rows.num_rows
    assert set(stored["evaluated_at"].to_pylist()) == {NOON}
    pairs = zip(stored["predictor"].to_pylist(), stored["model_id"].to_pylist(), strict=True)
    assert dict(pairs) == {"finetuned": "m1", "majority": None}
    assert read_models(filled) == (replace(MODEL, path=filled.spec.root / MODEL.path),)

    store({**predictions, "finetuned": np.array([0.8, 0.9, 0.7])}, LATER)
    after = read_predictions(filled, "d1")
    assert after.num_rows == 6
    changed = after.filter(pa.compute.equal(after["predicted_at"], pa.scalar(LATER)))
    assert changed.select(["example_id", "p_up"]).to_pylist() == [{"example_id": "e1", "p_up": 0.9}]


def test_storing_a_model_again_keeps_its_stage(lake) -> None:
    store_model(lake, MODEL)
    set_stage(lake, "m1", "champion")
    again = replace(MODEL, metrics={"loss": 0.5}, created_at=LATER)
    store_model(lake, again)
    kept = {"stage": "champion", "created_at": NOON, "path": lake.spec.root / MODEL.path}
    assert read_models(lake) == (replace(again, **kept),)
