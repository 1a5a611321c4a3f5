"""Hazard of the best of many: a model is tried again and again on the same sessions."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.looks import Look, correct, corrected
from tasks.evaluation.spec import EvaluationSpec
from tasks.evaluation.verdict import Verdict
from tasks.report.site.site import write_site
from tests.builders.rows import append, example, model
from warehouse.lake import Lake
from warehouse.tables.evaluations import evaluation_frame, store_evaluation
from warehouse.tables.looks import store_looks
from warehouse.tables.models import store_model
from warehouse.tables.predictions import store_backtest

SPEC = EvaluationSpec(resamples=400, by_ticker=False, period=None, candidate="fine_tuned")
NOW = datetime(2024, 6, 1, tzinfo=UTC)
SESSIONS, TICKERS = 60, 5
LUCKY = 22


def _called(label: np.ndarray, right: float, seed: int) -> np.ndarray:
    hit = np.random.default_rng(seed).random(len(label)) < right
    return np.where(label == hit, 0.7, 0.3)


def _look(frame: pa.Table, right: float, seed: int) -> Look:
    label = frame["label_up"].to_numpy()
    return Look(frame, _called(label, right, seed), {"majority": _called(label, 0.5, 10**6 + seed)})


@pytest.fixture
def tested(lake: Lake) -> Lake:
    """The labelled examples of sixty sessions, called ups and downs by a coin."""
    label = np.random.default_rng(0).random(SESSIONS * TICKERS) < 0.5
    opens = [datetime.combine(date(2024, 1, 1), time(14, 30), UTC) + timedelta(days=k)
             for k in range(SESSIONS)]  # fmt: skip
    append(lake, "examples", [
        example(f"e{k:03}", opens[k // TICKERS], "up" if up else "down", ticker=f"T{k % TICKERS}")
        for k, up in enumerate(label)
    ])  # fmt: skip
    return lake


def _judge(
    lake: Lake, right: float, seed: int, *, model: str, first: int = 0, dataset: str = "d1"
) -> Verdict:
    """Evaluate a model as the flow does, on the sessions from `first` on."""
    ids = pa.array([f"e{k:03}" for k in range(first * TICKERS, SESSIONS * TICKERS)])
    frame = evaluation_frame(lake, "s1", ids)
    label = frame["label_up"].to_numpy()
    predictions = {"fine_tuned": _called(label, right, seed), "majority": np.full(len(label), 0.5)}
    verdicts = evaluate(frame, predictions, SPEC).verdicts
    models = {"fine_tuned": model}
    store_backtest(lake, frame, predictions, dataset_id=dataset, model_ids=models, now=NOW)
    own = {"fine_tuned": predictions["fine_tuned"]}
    store_looks(lake, frame, own, dataset_id=dataset, split="test", model_ids=models, now=NOW)
    (found,) = corrected(lake, verdicts, SPEC, dataset_id=dataset, split="test", model_ids=models)
    return found


def test_a_claim_that_stood_alone_falls_among_many_that_were_tried(tested) -> None:
    """The luckiest of sixty would be skill by its own interval; not once all are counted."""
    alone = _judge(tested, 0.54, LUCKY, model="m0")
    assert alone.skill
    assert "only predictor judged" in alone.words
    frame = evaluation_frame(tested, "s1", pa.array(sorted(f"e{k:03}" for k in range(300))))
    label = frame["label_up"].to_numpy()
    others = {f"m{k}": _called(label, 0.5, k) for k in range(1, 60)}
    named = {"dataset_id": "d1", "model_ids": {name: name for name in others}, "now": NOW}
    store_backtest(tested, frame, others, **named)
    store_looks(tested, frame, others, split="test", **named)
    again = _judge(tested, 0.54, LUCKY, model="m0")
    assert again.correction is not None
    assert again.correction.judged == 60
    assert not again.skill
    assert again.correction.p_alone < 0.05 < again.correction.p_corrected
    assert "Counting all 60 predictors judged on these sessions" in again.words
    assert "not once corrected for the 60 predictors" in again.words
    assert _judge(tested, 0.8, 4, model="good").skill


def test_site_shows_both_p_values_beside_the_number_of_looks(tested, tmp_path: Path) -> None:
    """A number of looks alone leaves the reader to guess what they cost."""
    for k in range(3):
        name = f"m{k}"
        store_model(tested, model(name))
        found = _judge(tested, 0.6, k, model=name)
        frame = evaluation_frame(tested, "s1", pa.array([f"e{n:03}" for n in range(300)]))
        p_up = {"fine_tuned": _called(frame["label_up"].to_numpy(), 0.6, k)}
        rows = evaluate(frame, p_up, SPEC).rows
        about = {"dataset_id": "d1", "split": "test", "model_ids": {"fine_tuned": name}}
        store_evaluation(tested, rows, **about, now=NOW + timedelta(hours=k))
    page = write_site(tested, tmp_path / "site", NOW, SPEC).parent / "training.html"
    text = page.read_text("utf-8")
    shown = re.findall(
        r"3 models judged there</span><span[^>]*>p ([\d.]+), corrected ([\d.]+)", text
    )
    assert len(shown) == 3
    assert all(float(corrected) >= float(alone) for alone, corrected in shown)
    assert found.correction is not None
    rounded = (f"{found.correction.p_alone:.3f}", f"{found.correction.p_corrected:.3f}")
    assert rounded in shown


def test_looks_at_other_sessions_do_not_count_and_overlapping_ones_do(tested) -> None:
    def judged(first: int, model: str) -> int:
        found = _judge(tested, 0.5, first, model=model, first=first, dataset=f"d{first}")
        return found.correction.judged if found.correction else 0

    append(tested, "looks", [{
        "look_id": "other", "dataset_id": "d9", "split": "test", "predictor": "fine_tuned",
        "model_id": "m9", "spec_id": "s1", "sessions": [date(2023, 5, 1)], "n_examples": 1,
        "predictions_sha256": "0", "looked_at": NOW,
    }])  # fmt: skip
    assert judged(0, "m0") == 1
    assert judged(40, "m1") == 2


def test_the_same_predictions_again_are_no_second_look_and_new_ones_are(tested) -> None:
    for _ in range(2):
        found = _judge(tested, 0.6, 1, model="m0")
    assert found.correction is not None
    assert found.correction.judged == 1
    changed = _judge(tested, 0.6, 2, model="m0").correction
    assert changed is not None
    assert changed.judged == 2  # the former predictions are gone, and still were looked at
    assert changed.p_corrected == pytest.approx(2 * changed.p_alone)


def test_chance_of_any_false_claim_among_many_looks_stays_at_its_level(make_frame) -> None:
    """Twenty coins each against a coin of its own: the best of them is hardly ever shown."""
    frame = make_frame(sessions=60)
    spec = EvaluationSpec(resamples=200)
    claims = {"alone": 0, "corrected": 0}
    for world in range(100):
        looks = [_look(frame, 0.5, 1000 * world + k) for k in range(20)]
        best = max(range(20), key=lambda k: _lead(looks[k]))
        found = correct([looks[best], *looks[:best], *looks[best + 1 :]], spec)
        claims["alone"] += found.p_alone <= 0.05
        claims["corrected"] += found.p_corrected <= 0.05
    assert claims["alone"] > 25
    assert claims["corrected"] <= 8


def _lead(look: Look) -> float:
    up = look.frame["label_up"].to_numpy()
    own, theirs = ((p > 0.5) == up for p in (look.p_up, look.baselines["majority"]))
    return float(own.mean() - theirs.mean())


def test_correction_is_kinder_than_bonferroni_to_models_that_are_alike(make_frame) -> None:
    frame = make_frame(sessions=60)
    look = _look(frame, 0.57, 1)
    found = correct([look] * 20, EvaluationSpec(resamples=400))
    assert found.judged == 20
    assert found.p_corrected == found.p_alone
