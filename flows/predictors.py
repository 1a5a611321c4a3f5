"""Who competes in an evaluation: baselines fitted on the train split, and language models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.settings import Settings
from flows.training import FINE_TUNED, finetune_job, report_progress
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.evaluation.baselines import Baselines, fit_baselines
from tasks.evaluation.spec import TFIDF_LOGISTIC, ZERO_SHOT
from tasks.training.job import ScoreJob, Split
from tasks.training.process import run_scores
from tasks.training.recipe import Recipe, load_recipe
from warehouse.lake import Lake
from warehouse.tables.datasets import load_split
from warehouse.tables.evaluations import evaluation_frame, read_models

READERS = (FINE_TUNED, TFIDF_LOGISTIC)
"""Contestants that learned from the text, and may have learned names from it."""


class EvaluationInputError(RuntimeError):
    """There is nothing to evaluate as asked; the message says what is missing."""


@dataclass(frozen=True)
class Contestants:
    """Predictors that can be asked about any split: language models by recipe and adapter."""

    settings: Settings
    baselines: Baselines
    models: Mapping[str, tuple[Recipe, Path | None]]

    def p_up(self, frame: pa.Table, folder: Path, split: Split) -> dict[str, Any]:
        """P(up) of each on the examples of `frame`, which are those of `folder`'s split."""
        fitted: dict[str, Any] = dict(self.baselines.predict(frame))
        return fitted | label_scores(self.settings, self.models, folder, split, frame)

    def only(self, names: tuple[str, ...]) -> Contestants:
        """Those of these names that compete."""
        fitted = {name: fit for name, fit in self.baselines.fitted.items() if name in names}
        models = {name: model for name, model in self.models.items() if name in names}
        return Contestants(self.settings, Baselines(fitted), models)


def contestants(
    settings: Settings, train: pa.Table, model: Mapping[str, Any] | None, *, language_models: bool
) -> Contestants:
    """The baselines, the fine-tuned `model` if any, and its untuned base (zero shot).

    Without a model the base is the configured recipe's: a model beside another's base would tell
    nothing of the fine-tuning.
    """
    models: dict[str, tuple[Recipe, Path | None]] = {}
    if language_models:
        own = Recipe.model_validate_json(model["recipe"]) if model is not None else None
        if settings.training.zero_shot:
            models[ZERO_SHOT] = (own or load_recipe(settings.training.recipe), None)
        if model is not None and own is not None:
            models[FINE_TUNED] = (own, Path(model["path"]))
    return Contestants(settings, fit_baselines(train), models)


def split_frame(lake: Lake, manifest: DatasetManifest, folder: Path, split: str) -> pa.Table:
    """The labelled examples of one split as an evaluation wants them.

    Raises EvaluationInputError when there is none.
    """
    rows = load_split(folder / f"{split}.parquet")
    if not rows.num_rows:
        raise EvaluationInputError(
            f"The {split} split of data set {manifest.dataset_id} is empty; expected at least one "
            "labelled example. Widen [dataset.split] or ingest more, and build it again."
        )
    return evaluation_frame(lake, manifest.spec_id, rows["example_id"])


def chosen_model(
    settings: Settings, lake: Lake, dataset_id: str, model_id: str | None
) -> dict[str, Any] | None:
    """The named model; else the one the configured recipe gave on the data set, else its newest.

    Raises EvaluationInputError for a name nobody bears.
    """
    models: list[dict[str, Any]] = read_models(lake).to_pylist()
    if model_id is None:
        configured = finetune_job(settings, dataset_id).model_id
        known_here = [model for model in models if model["dataset_id"] == dataset_id]
        known_here.sort(key=lambda model: model["model_id"] != configured)
        return next(iter(known_here), None)
    named = next((model for model in models if model["model_id"] == model_id), None)
    if named is None:
        known = ", ".join(model["model_id"] for model in models) or "none"
        raise EvaluationInputError(
            f"The warehouse knows no model {model_id!r}; it knows: {known}. "
            "Fine-tune one with `newsvane finetune`."
        )
    return named


def label_scores(
    settings: Settings,
    models: Mapping[str, tuple[Recipe, Path | None]],
    folder: Path,
    split: Split,
    frame: pa.Table,
) -> dict[str, Any]:
    """P(up) by label likelihood on one split, in `frame`'s order, of each recipe and adapter.

    Scores that exist are reused; the others are made by one process. Raises EvaluationInputError
    when they are not of `frame`'s examples.
    """
    jobs = [
        ScoreJob(
            recipe=recipe,
            dataset=folder,
            output=settings.data_root / "scores",
            cache=settings.training.cache,
            split=split,
            adapter=adapter,
        )
        for recipe, adapter in models.values()
    ]
    results = run_scores(jobs, report_progress)
    return {
        name: _p_up(result.path, split, frame) for name, result in zip(models, results, strict=True)
    }


def _p_up(path: Path, split: Split, frame: pa.Table) -> Any:
    scores = pq.read_table(path, columns=["example_id", "p_up"])
    if scores["example_id"].to_pylist() != frame["example_id"].to_pylist():
        raise EvaluationInputError(
            f"The scores in {path} are not those of this {split} split; delete that file "
            "and evaluate again."
        )
    return scores["p_up"].to_numpy()
