"""Evaluation: every predictor on the same test rows, and what that allows one to say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.connections import clock_of
from flows.dataset import find_dataset
from flows.finetune import FINE_TUNED, report_progress
from flows.settings import ConfigSelection, Settings, load_settings
from flows.verdict_table import verdict_table
from tasks.dataset.manifest import DatasetManifest
from tasks.evaluation.baselines import fit_baselines
from tasks.evaluation.evaluate import Evaluation
from tasks.evaluation.evaluate import evaluate as judge
from tasks.evaluation.spec import ZERO_SHOT
from tasks.training.job import ScoreJob
from tasks.training.process import run_job
from tasks.training.recipe import Recipe, load_recipe
from warehouse.dataset_files import load_split
from warehouse.evaluations import (
    evaluation_frame,
    read_models,
    store_backtest,
    store_evaluation,
)
from warehouse.lake import Lake


class EvaluationInputError(RuntimeError):
    """There is nothing to evaluate as asked; the message says what is missing."""


@flow(name="evaluate")
def evaluate(
    selection: ConfigSelection,
    dataset_id: str | None = None,
    model_id: str | None = None,
    with_language_model: bool = True,
) -> Evaluation:
    """Score the test split with every predictor, store the metrics, conclude in words.

    Baselines are fitted on the train split alone. With language models, the recipe's untuned base
    is the zero-shot baseline; the newest (or the named) fine-tuned model of the data set competes.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    manifest = find_dataset(settings, dataset_id)
    folder = settings.data_root / "datasets" / manifest.dataset_id
    with Lake.open(settings.warehouse) as lake:
        train, test = (_frame(lake, manifest, folder, split) for split in ("train", "test"))
        predictions: dict[str, Any] = dict(fit_baselines(train).predict(test))
        model_ids: dict[str, str] = {}
        if with_language_model:
            model = _model(lake, manifest.dataset_id, model_id)
            predictions.update(_language_models(settings, folder, test, model))
            model_ids = {FINE_TUNED: model["model_id"]} if model else {}
        spec = settings.evaluation
        if model_ids:
            spec = spec.model_copy(update={"candidate": FINE_TUNED})
        outcome = judge(test, predictions, spec)
        now, name = clock_of(settings)(), manifest.dataset_id
        store_evaluation(
            lake, outcome.rows, dataset_id=name, split="test", model_ids=model_ids, now=now
        )
        store_backtest(lake, test, predictions, dataset_id=name, model_ids=model_ids, now=now)
    _show(outcome)
    return outcome


def _frame(lake: Lake, manifest: DatasetManifest, folder: Path, split: str) -> pa.Table:
    rows = load_split(folder / f"{split}.parquet")
    if not rows.num_rows:
        raise EvaluationInputError(
            f"The {split} split of data set {manifest.dataset_id} is empty; expected at least one "
            "labelled example. Widen [dataset.split] or ingest more, and build it again."
        )
    return evaluation_frame(lake, manifest.spec_id, rows["example_id"])


def _model(lake: Lake, dataset_id: str, model_id: str | None) -> dict[str, Any] | None:
    models: list[dict[str, Any]] = read_models(lake).to_pylist()
    if model_id is None:
        return next((model for model in models if model["dataset_id"] == dataset_id), None)
    named = next((model for model in models if model["model_id"] == model_id), None)
    if named is None:
        known = ", ".join(model["model_id"] for model in models) or "none"
        raise EvaluationInputError(
            f"The warehouse knows no model {model_id!r}; it knows: {known}. "
            "Fine-tune one with `newsvane finetune`."
        )
    return named


def _language_models(
    settings: Settings, folder: Path, test: pa.Table, model: Mapping[str, Any] | None
) -> dict[str, Any]:
    recipe = load_recipe(settings.training.recipe)
    scored = {}
    if settings.training.zero_shot:
        scored[ZERO_SHOT] = _score(settings, recipe, folder, None, test)
    if model is not None:
        own = Recipe.model_validate_json(model["recipe"])
        scored[FINE_TUNED] = _score(settings, own, folder, Path(model["path"]), test)
    return scored


def _score(
    settings: Settings, recipe: Recipe, folder: Path, adapter: Path | None, test: pa.Table
) -> Any:
    job = ScoreJob(
        recipe=recipe,
        dataset=folder,
        output=settings.data_root / "scores",
        cache=settings.training.cache,
        split="test",
        adapter=adapter,
    )
    result = run_job(job, report_progress)
    scores = pq.read_table(result.path, columns=["example_id", "p_up"])
    if scores["example_id"].to_pylist() != test["example_id"].to_pylist():
        raise EvaluationInputError(
            f"The scores in {result.path} are not those of this test split; delete that file and "
            "evaluate again."
        )
    return scores["p_up"].to_numpy()


def _show(outcome: Evaluation) -> None:
    create_markdown_artifact(outcome.verdict.words, key="verdict", description="The verdict")
    create_table_artifact(verdict_table(outcome), key="verdict-table", description="Test split")
