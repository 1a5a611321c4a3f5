"""Hazards of promotion: a title won by luck, on data already seen, or by altered weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.spec import EvaluationSpec
from tasks.prediction.promotion import compare_models, promote, promotion_test
from tasks.prediction.registry import ADAPTER_FILE, RegistryError, champion, nominate, show_model
from tests.builders.rows import NOW, append, example, model, registered
from warehouse.lake import Lake, LakeError
from warehouse.tables.evaluations import evaluation_frame
from warehouse.tables.models import read_models, store_model
from warehouse.tables.predictions import store_backtest, store_forward

FIRST = date(2024, 1, 1)
SPEC = EvaluationSpec(resamples=300)
TRAINED, TESTED = 20, 80  # sessions
UPCOMING = (
    "spec_id, example_id, ticker, session, decision_ts, label_start_ts, previous_return,"
    " headline_ids, input"
)


@pytest.fixture
def stocked(lake: Lake) -> Lake:
    """One hundred sessions of one ticker; two data sets that end their training differently."""
    start = datetime(FIRST.year, FIRST.month, FIRST.day, 14, 30, tzinfo=UTC)
    ups = np.random.default_rng(0).random(TRAINED + TESTED) < 0.5
    append(
        lake,
        "examples",
        [
            example(f"e{day}", start + timedelta(days=day), "up" if up else "down")
            for day, up in enumerate(ups)
        ],
    )
    append(lake, "datasets", [_dataset("early", TRAINED), _dataset("late", TRAINED + 60)])
    return lake


def _dataset(name: str, trained: int) -> dict[str, Any]:
    return registered(name, [FIRST + timedelta(days=day) for day in (trained - 6, trained - 1)])


@pytest.fixture
def add_model(stocked: Lake, tmp_path: Path) -> Callable[..., str]:
    """Stores a model with real adapter bytes that calls `right` of the examples rightly.

    It was back-tested on all of them, and unless told otherwise predicted all of them in time.
    """

    def add(
        model_id: str,
        right: float,
        *,
        dataset_id: str = "early",
        seed: int = 0,
        forward: bool = True,
    ) -> str:
        folder = tmp_path / model_id
        folder.mkdir()
        weights = model_id.encode() * 100
        (folder / ADAPTER_FILE).write_bytes(weights)
        named = {"dataset_id": dataset_id, "path": folder, "seed": seed}
        sha256 = hashlib.sha256(weights).hexdigest()
        store_model(stocked, model(model_id, adapter_sha256=sha256, **named))
        ids = pa.array([f"e{k}" for k in range(TRAINED + TESTED)])
        frame = evaluation_frame(stocked, "s1", ids)
        hit = np.random.default_rng(seed).random(len(ids)) < right
        p_up = np.where(frame["label_up"].to_numpy() == hit, 0.7, 0.3)
        made = {"dataset_id": dataset_id, "model_ids": {"finetuned": model_id}, "now": NOW}
        store_backtest(stocked, frame, {"finetuned": p_up}, **made)
        if forward:
            before = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
            ahead = stocked.sql(f"SELECT {UPCOMING} FROM examples ORDER BY session")
            store_forward(stocked, ahead, {"finetuned": p_up}, **made | {"now": before})
        return model_id

    return add


def test_first_champion_is_unopposed(stocked, add_model) -> None:
    assert champion(stocked) is None
    assert promote(stocked, add_model("first", 0.5), SPEC) is None
    held = champion(stocked)
    assert held is not None
    assert (held.model_id, held.metrics) == ("first", {"loss": 0.5})


def test_clearly_better_challenger_takes_the_place(stocked, add_model) -> None:
    promote(stocked, add_model("old", 0.5), SPEC)
    contest = promote(stocked, add_model("new", 0.9, seed=1), SPEC)
    assert contest is not None
    assert contest.won
    assert (contest.n_examples, contest.n_sessions) == (TESTED, TESTED)
    stages = {model.model_id: model.stage for model in read_models(stocked)}
    assert stages == {"old": "retired", "new": "champion"}


def test_a_back_test_promotes_nobody(stocked, add_model) -> None:
    """Whoever trained fifty models could choose the one whose back-test shines."""
    promote(stocked, add_model("old", 0.5), SPEC)
    add_model("new", 0.95, seed=1, forward=False)
    assert compare_models(stocked, "new", "old", SPEC).won
    with pytest.raises(RegistryError, match="share no forward prediction with an outcome"):
        promote(stocked, "new", SPEC)


def test_every_further_test_may_err_less_and_keeps_its_number(stocked, add_model) -> None:
    add_model("old", 0.5)
    found = [
        promotion_test(stocked, add_model(name, 0.5, seed=k), "old", SPEC)
        for k, name in enumerate(("a", "b", "c"), start=1)
    ]
    assert [item.number for item in found] == [1, 2, 3]
    assert [item.alpha for item in found] == pytest.approx([0.05 / 2, 0.05 / 6, 0.05 / 12])
    assert promotion_test(stocked, "b", "old", SPEC).number == 2
    assert promotion_test(stocked, "b", "a", SPEC).number == 4


def test_luck_does_not_promote(stocked, add_model) -> None:
    promote(stocked, add_model("old", 0.6), SPEC)
    with pytest.raises(RegistryError, match="Not promoted: new is not shown to beat old"):
        promote(stocked, add_model("new", 0.64, seed=1), SPEC)
    held = champion(stocked)
    assert held is not None
    assert held.model_id == "old"


def test_a_comparison_counts_every_model_that_was_judged_on_its_sessions(
    stocked, add_model
) -> None:
    """The luckiest of many challengers is held against all of them."""
    promote(stocked, add_model("old", 0.5), SPEC)
    add_model("lucky", 0.68, seed=2)
    alone = compare_models(stocked, "lucky", "old", SPEC)
    assert "No other model was judged" in alone.words
    for number in range(12):
        _look(stocked, add_model(f"coin{number}", 0.5, seed=10 + number))
    counted = compare_models(stocked, "lucky", "old", SPEC)
    assert counted.correction.judged == 13
    assert counted.correction.p_alone == alone.correction.p_alone
    assert counted.correction.p_corrected > counted.correction.p_alone
    assert "Counting all 13 models judged on these sessions" in counted.words


def _look(lake: Lake, model_id: str) -> None:
    """As an evaluation on every tested session would record it."""
    days = [FIRST + timedelta(days=day) for day in range(TRAINED, TRAINED + TESTED)]
    append(lake, "looks", [{
        "look_id": model_id, "dataset_id": "early", "split": "test", "predictor": "finetuned",
        "model_id": model_id, "spec_id": "s1", "sessions": days, "n_examples": TESTED,
        "predictions_sha256": model_id, "looked_at": NOW,
    }])  # fmt: skip


def test_only_data_after_both_trainings_counts(stocked, add_model) -> None:
    promote(stocked, add_model("old", 0.5), SPEC)
    add_model("new", 0.9, dataset_id="late", seed=1)
    contest = compare_models(stocked, "new", "old", SPEC)
    assert contest.n_examples == TESTED - 60


def test_model_of_an_unknown_data_set_is_not_compared(stocked, add_model) -> None:
    promote(stocked, add_model("old", 0.5), SPEC)
    add_model("new", 0.9, dataset_id="elsewhere", seed=1)
    with pytest.raises(LakeError, match="data set of new is not registered"):
        promote(stocked, "new", SPEC)


def test_no_shared_unseen_data_is_an_error(stocked, add_model) -> None:
    whole = _dataset("whole", TRAINED + TESTED)
    append(stocked, "datasets", [whole])
    add_model("old", 0.5)
    add_model("new", 0.9, dataset_id="whole", seed=1)
    with pytest.raises(RegistryError, match="share no labelled example"):
        compare_models(stocked, "new", "old", SPEC)


def test_altered_adapter_is_not_promoted(stocked, add_model, tmp_path) -> None:
    add_model("first", 0.5)
    with (tmp_path / "first" / ADAPTER_FILE).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(RegistryError, match="not what was evaluated"):
        promote(stocked, "first", SPEC)
    assert champion(stocked) is None


def test_other_weights_under_a_champions_id_are_refused(stocked, add_model) -> None:
    promote(stocked, add_model("first", 0.5), SPEC)
    altered = replace(show_model(stocked, "first"), adapter_sha256="00" * 32)
    with pytest.raises(LakeError, match="is champion with the adapter"):
        store_model(stocked, altered)


def test_promoting_the_champion_again_writes_nothing(stocked, add_model) -> None:
    promote(stocked, add_model("first", 0.5), SPEC)
    snapshot = stocked.snapshot_id()
    assert promote(stocked, "first", SPEC) is None
    assert stocked.snapshot_id() == snapshot


def test_nominated_model_is_a_challenger_and_a_champion_cannot_be(stocked, add_model) -> None:
    promote(stocked, add_model("old", 0.5), SPEC)
    assert nominate(stocked, add_model("new", 0.5, seed=1)).stage == "challenger"
    with pytest.raises(RegistryError, match="nobody to challenge"):
        nominate(stocked, "old")


def test_a_beginning_of_an_id_must_fit_one_model(stocked, add_model) -> None:
    add_model("abc1", 0.5)
    add_model("abd1", 0.5, seed=1)
    assert show_model(stocked, "abd").model_id == "abd1"
    with pytest.raises(RegistryError, match="2 models are called 'ab'"):
        show_model(stocked, "ab")
    with pytest.raises(RegistryError, match="0 models are called 'x'"):
        show_model(stocked, "x")
