"""A model card that the hub cannot read, or that keeps quiet about the verdict, misleads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.spec import FINE_TUNED, EvaluationSpec
from tasks.prediction.cards import describe
from tasks.training.job import FinetuneResult
from tasks.training.model_card import CARD, write_artefact
from tasks.training.recipe import Recipe, load_recipe
from warehouse.tables.models import Model

NAMES = ("org/base-135M", "</script><b>", "a: [b", "x\n---\nlicense: mit\n```\n# h", "\u202e\x85|`")
LOSSES = {"label_ce": 0.7, "completion_ce": 0.4, "pair_ce": 0.69}


def named(name: str) -> Recipe:
    content = load_recipe("sandbox-tiny").model_dump()
    content |= {"name": name, "base": {**content["base"], "name": name, "licence": name}}
    content["prompt"] |= {"up": f"{name} up"}
    return Recipe.model_validate(content)


def trained(folder: Path, recipe: Recipe) -> FinetuneResult:
    """What a training process leaves, but for the weights."""
    result = FinetuneResult(
        model_id="abcdef0123456789",
        dataset_id="0123456789abcdef",
        recipe_name=recipe.name,
        base_model=recipe.base.name,
        adapter_sha256="0" * 64,
        path=folder,
        seed=7,
        recipe=recipe.model_dump(mode="json"),
        environment={"device": recipe.base.name, "dtype": "float32"},
        metrics={
            "validation_before": LOSSES,
            "validation_after": LOSSES,
            "validation_rows": 10,
            "train_rows": 20,
            "steps": 3,
            "train_seconds": 1.0,
            "tokens_per_second": 9.0,
        },
    )
    (folder / "result.json").write_text(result.model_dump_json(), "utf-8")
    write_artefact(result, recipe)
    return result


def model_of(result: FinetuneResult) -> Model:
    return Model(
        **result.model_dump(exclude={"kind", "scores"}),
        stage="candidate",
        created_at=datetime(2024, 1, 1, tzinfo=UTC),
    )


def body(text: str) -> list[Any]:
    return MarkdownIt("commonmark").enable("table").parse(text.partition("\n---\n")[2])


@pytest.mark.parametrize("name", NAMES)
def test_hub_reads_the_card_whatever_the_recipe_is_called(name: str, tmp_path: Path) -> None:
    trained(tmp_path, named(name))
    card = ModelCard.load(tmp_path / CARD)
    data = card.data.to_dict()
    assert (data["base_model"], data["library_name"]) == (name, "peft")
    assert data["datasets"] == ["0123456789abcdef"]
    assert data["license"] == "other"
    assert data["license_name"] == name
    assert "model-index" not in data
    (block,) = (one for one in body((tmp_path / CARD).read_text("utf-8")) if one.type == "fence")
    assert json.loads(block.content)["recipe"] == name
    assert json.loads(block.content)["labels"] == [f"{name} up", "down"]
    kinds = {one.type for token in body(card.content) for one in token.children or ()}
    assert not kinds & {"html_inline", "link_open", "image"}


def test_an_evaluation_puts_its_figures_and_its_verdict_on_the_card(
    make_frame: Any, tmp_path: Path
) -> None:
    result = trained(tmp_path, named("apache-2.0"))
    vouched = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert "Not evaluated yet" in (tmp_path / CARD).read_text("utf-8")
    frame = make_frame()
    chance = np.random.default_rng(0).random(frame.num_rows)
    spec = EvaluationSpec(candidate=FINE_TUNED, resamples=200)
    outcome = evaluate(frame, {FINE_TUNED: chance, "majority": np.full(len(chance), 0.6)}, spec)
    text = describe(model_of(result), outcome, synthetic=True)
    assert text == (tmp_path / CARD).read_text("utf-8")
    assert text == describe(model_of(result), outcome, synthetic=True)
    card = ModelCard.load(tmp_path / CARD)
    assert card.data.license == "apache-2.0"
    assert card.data.tags[0] == "synthetic"
    assert body(text)[3].type == "paragraph_open"
    assert body(text)[4].content.startswith("**Synthetic.**")
    found = {one.metric_type: one.metric_value for one in card.data.eval_results}
    stored = {
        row["metric"]: row["value"]
        for row in outcome.rows.to_pylist()
        if row["slice"] == "all" and row["predictor"] == FINE_TUNED and row["baseline"] is None
    }
    assert found == {name: round(stored[name], 6) for name in ("accuracy", "mcc", "cross_entropy")}
    assert card.data.metrics == list(found)
    (verdict,) = (one for one in outcome.verdicts if one.predictor == FINE_TUNED)
    shown = " ".join(one.content for one in _texts(text))
    assert verdict.claim in shown
    assert "not investment advice" in text
    assert CARD not in vouched


def _texts(text: str) -> list[Any]:
    return [one for token in body(text) for one in token.children or () if one.type == "text"]


def test_a_folder_without_a_training_result_gets_no_card(make_frame: Any, tmp_path: Path) -> None:
    result = trained(tmp_path, named("mit"))
    elsewhere = tmp_path / "empty"
    elsewhere.mkdir()
    frame = make_frame(sessions=20)
    outcome = evaluate(
        frame,
        {FINE_TUNED: np.full(frame.num_rows, 0.6), "majority": np.full(frame.num_rows, 0.6)},
        EvaluationSpec(candidate=FINE_TUNED, resamples=100),
    )
    moved = model_of(result.model_copy(update={"path": elsewhere}))
    assert describe(moved, outcome, synthetic=False) is None
    assert list(elsewhere.iterdir()) == []
