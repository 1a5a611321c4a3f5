"""Hazard of memory, with real models: what a base was taught must be found, once, and kept."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.render import RenderSpec
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.spec import EvaluationSpec
from tasks.evaluation.verdict import read_verdicts
from tasks.prediction.predictors import LanguageModel, Scorer
from tasks.prediction.recall import probe, probe_name, sampled
from tasks.training.recipe import FolderBase, Recipe, load_recipe
from tests.builders.rows import append, example
from warehouse.lake import Lake
from warehouse.tables.evaluations import evaluation_frame, store_evaluation

NOW = datetime(2024, 6, 1, tzinfo=UTC)
SESSIONS, TICKERS, STEPS = 32, 5, 120
RENDER = RenderSpec(template="{ticker} on {session} news:\n{headlines}\nDirection:")
SPEC = EvaluationSpec(resamples=300, by_ticker=False, period=None, candidate="fine_tuned")


@pytest.fixture
def tested(lake: Lake) -> Lake:
    """Labelled examples whose outcomes a coin chose and whose news says nothing."""
    up = np.random.default_rng(3).random(SESSIONS * TICKERS) < 0.5
    first = datetime.combine(date(2024, 1, 1), time(14, 30), UTC)
    append(lake, "examples", [
        example(f"e{k:03}", first + timedelta(days=k // TICKERS), "up" if went else "down",
                ticker=f"T{k % TICKERS}", input=RENDER.template.format(
                    ticker=f"T{k % TICKERS}", headlines="- shares trade today",
                    session=(first + timedelta(days=k // TICKERS)).date()))
        for k, went in enumerate(up)
    ])  # fmt: skip
    return lake


def _frame(lake: Lake) -> pa.Table:
    return evaluation_frame(lake, "s1", pa.array(f"e{k:03}" for k in range(SESSIONS * TICKERS)))


def _manifest() -> DatasetManifest:
    """As much of a manifest as the probe reads."""
    spec = SimpleNamespace(render=RENDER)
    return cast(DatasetManifest, SimpleNamespace(dataset_id="d1", spec_id="s1", spec=spec))


def _taught(frame: pa.Table, folder: Path) -> Recipe:
    """A real tiny model, all weights trained on half of the outcomes in both wordings, on disk."""
    import torch

    from tasks.training.base import load_base
    from tasks.training.encoding import collate, encode, examples

    recipe = load_recipe("sandbox-tiny")
    base = load_base(recipe, folder / "cache")
    half = frame.filter(pa.array(np.random.default_rng(1).random(frame.num_rows) < 0.5))
    bare = RENDER.without_news().template
    places = half.select(["ticker", "session"]).to_pylist()
    prompts = [bare.format(**place) for place in places] + half["input"].to_pylist()
    answers = ["up" if went else "down" for went in half["label_up"].to_pylist()] * 2
    batch = collate(examples(encode(base.tokenizer, prompts, answers, recipe.prompt), None))
    targets = batch.pop("labels")
    del batch["shift_labels"]
    optimiser = torch.optim.AdamW(base.model.parameters(), lr=5e-3)
    base.model.train()
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(base.model(**batch).logits, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    base.model.save_pretrained(folder / "taught")
    base.tokenizer.save_pretrained(folder / "taught")
    shape = recipe.base.shape
    base_of = FolderBase(name="taught", shape=shape, path=folder / "taught")
    return recipe.model_copy(update={"base": base_of})


def _asked(lake: Lake, recipe: Recipe, scorer: Scorer, root: Path, spec: EvaluationSpec) -> Any:
    return probe(
        lake, scorer, recipe, _manifest(), _frame(lake), spec, root=root / "recall", now=NOW
    )


def test_a_base_that_was_taught_half_of_the_outcomes_has_its_skill_withheld(
    training_worker: None, tested: Lake, tmp_path: Path
) -> None:
    frame = _frame(tested)
    recipe = _taught(frame, tmp_path)
    scorer = Scorer(tmp_path / "scores", tmp_path / "cache")
    recall = _asked(tested, recipe, scorer, tmp_path, SPEC)
    calls = scorer.upcoming(frame, {"fine_tuned": LanguageModel(recipe)})
    weak = {"majority": np.full(frame.num_rows, 0.5)}
    memories = recall.memories(calls, ("fine_tuned",), SPEC)
    found = evaluate(frame, calls | weak, SPEC, memories=memories)
    assert memories["fine_tuned"].found
    assert evaluate(frame, calls | weak, SPEC).verdict.skill, "it would have been skill"
    assert found.verdict.claim.startswith("withheld")
    rows = pa.concat_tables([found.rows, recall.metric_rows(memories, SPEC)])
    models = {"fine_tuned": "m1"}
    store_evaluation(tested, rows, dataset_id="d1", split="test", model_ids=models, now=NOW)
    stored = tested.read("report_evaluations", {"dataset_id": "d1"})
    (verdict,) = read_verdicts(stored, SPEC)
    assert (verdict.skill, verdict.claim) == (False, found.verdict.claim)
    assert verdict.memory == memories["fine_tuned"]


def test_an_untaught_base_is_asked_once_and_its_answers_are_kept(
    training_worker: None, tested: Lake, tmp_path: Path
) -> None:
    recipe = load_recipe("sandbox-tiny")
    scorer = Scorer(tmp_path / "scores", tmp_path / "cache")
    first = _asked(tested, recipe, scorer, tmp_path, SPEC)
    snapshot = tested.snapshot_id()
    nobody = Scorer(tmp_path / "file" / "none", tmp_path)
    (tmp_path / "file").write_text("no folder can be made below a file")
    again = _asked(tested, recipe, nobody, tmp_path, SPEC)
    np.testing.assert_array_equal(first.p_up, again.p_up)
    assert tested.snapshot_id() == snapshot
    kept = tested.sql("FROM predictions WHERE kind = 'recall'")
    assert kept.num_rows == SESSIONS * TICKERS
    assert pc.unique(kept["predictor"]).to_pylist() == [probe_name(recipe, RENDER.without_news())]
    assert tested.read("looks_overlapping", {
        "dataset_id": "d1", "split": "test", "predictor": "zero_shot", "model_id": None,
        "uncounted": [],
    }).num_rows == 0, "a base that is asked is no candidate"  # fmt: skip


def test_another_wording_or_base_is_another_probe() -> None:
    recipe = load_recipe("sandbox-tiny")
    other = recipe.model_copy(update={"base": recipe.base.model_copy(update={"weights_seed": 1})})
    names = {
        probe_name(recipe, RENDER.without_news()),
        probe_name(other, RENDER.without_news()),
        probe_name(recipe, RenderSpec(template="{headlines}\nUp or down?").without_news()),
    }
    assert len(names) == 3
    assert all(name.startswith("sandbox-tiny@") for name in names)


def test_the_sample_is_stated_drawn_once_and_may_be_none() -> None:
    spec = SPEC.model_copy(update={"recall_rows": 100})
    drawn = sampled(1000, spec)
    assert len(drawn) == 100
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(drawn, sampled(1000, spec))
    assert sampled(50, spec).tolist() == list(range(50))
    assert len(sampled(50, SPEC.model_copy(update={"recall_rows": 0}))) == 0
