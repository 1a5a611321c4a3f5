"""Hazards of the store: reruns that write, a promotion undone, examples lost by alignment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.spec import EvaluationSpec
from tests.builders.frames import example_row
from warehouse.lake import Lake, LakeError
from warehouse.tables.evaluations import evaluation_frame, store_evaluation
from warehouse.tables.models import Model, read_models, set_stage, store_model
from warehouse.tables.predictions import read_predictions, store_backtest

NOON = datetime(2024, 1, 9, 12, tzinfo=UTC)
LATER = datetime(2024, 1, 10, 12, tzinfo=UTC)
MODEL = Model(
    model_id="m1",
    dataset_id="d1",
    recipe_name="tiny",
    base_model="base",
    adapter_sha256="ab" * 32,
    path=Path("models/m1"),
    seed=0,
    recipe={"rank": 8},
    environment={"python": "3.11"},
    metrics={"loss": 0.69},
    created_at=NOON,
)


def _fill(lake: Lake) -> None:
    first = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
    rows = [
        example_row(f"e{number}", first + timedelta(days=number), label)
        for number, label in enumerate(("up", "down", "up", None))
    ]
    lake.transact(lambda tx: tx.append("examples", pa.Table.from_pylist(rows)))


def test_frame_keeps_the_order_asked_for(lake: Lake) -> None:
    _fill(lake)
    frame = evaluation_frame(lake, "s1", pa.array(["e2", "e0", "e1"]))
    assert frame["example_id"].to_pylist() == ["e2", "e0", "e1"]
    assert frame["label_up"].to_pylist() == [True, True, False]


@pytest.mark.parametrize("absent", ["e3", "unknown"])
def test_unlabelled_or_unknown_example_is_refused_not_dropped(lake: Lake, absent: str) -> None:
    _fill(lake)
    with pytest.raises(LakeError, match="Of 2 examples asked for, 1"):
        evaluation_frame(lake, "s1", pa.array(["e0", absent]))


def test_rerun_is_idempotent_and_a_changed_number_is_stored(lake: Lake) -> None:
    _fill(lake)
    frame = evaluation_frame(lake, "s1", pa.array(["e0", "e1", "e2"]))
    predictions = {"finetuned": np.array([0.8, 0.2, 0.7]), "majority": np.full(3, 0.6)}
    models = {"finetuned": "m1"}
    found = evaluate(frame, predictions, EvaluationSpec(resamples=100))

    def store(p_up: dict[str, np.ndarray], now: datetime) -> None:
        rows = evaluate(frame, p_up, EvaluationSpec(resamples=100)).rows
        store_evaluation(lake, rows, dataset_id="d1", split="test", model_ids=models, now=now)
        store_backtest(lake, frame, p_up, dataset_id="d1", model_ids=models, now=now)
        store_model(lake, replace(MODEL, created_at=now))

    store(predictions, NOON)
    snapshot = lake.snapshot_id()
    store(predictions, LATER)
    assert lake.snapshot_id() == snapshot

    stored = lake.sql("FROM evaluations")
    assert stored.num_rows == found.rows.num_rows
    assert set(stored["evaluated_at"].to_pylist()) == {NOON}
    by_predictor = dict(
        zip(stored["predictor"].to_pylist(), stored["model_id"].to_pylist(), strict=True)
    )
    assert by_predictor == {"finetuned": "m1", "majority": None}
    assert read_models(lake) == (MODEL,)

    store({**predictions, "finetuned": np.array([0.8, 0.9, 0.7])}, LATER)
    after = read_predictions(lake, "d1")
    assert after.num_rows == 6
    changed = after.filter(pa.compute.equal(after["predicted_at"], pa.scalar(LATER)))
    assert changed.select(["example_id", "p_up"]).to_pylist() == [{"example_id": "e1", "p_up": 0.9}]


def test_storing_a_model_again_keeps_its_stage(lake: Lake) -> None:
    store_model(lake, MODEL)
    set_stage(lake, "m1", "champion")
    again = replace(MODEL, metrics={"loss": 0.5}, created_at=LATER)
    store_model(lake, again)
    assert read_models(lake) == (replace(again, stage="champion", created_at=NOON),)
