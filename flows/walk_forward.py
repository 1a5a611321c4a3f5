"""Walk-forward: the same judgement over folds that move through time, each refitted anew."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from prefect import flow

from flows.connections import clock_of, find_dataset
from flows.evaluation import show_evaluation, with_notes
from flows.platform.display import current_sink
from flows.predictors import EvaluationInputError, contestants, split_frame
from flows.settings import ConfigSelection, Settings, load_settings
from flows.training import FINE_TUNED, finetune_job, report_progress
from tasks.dataset.build import write_dataset
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import SPLITS, SplitSpec
from tasks.dataset.spec.split import walk_forward as fold_splits
from tasks.evaluation.evaluate import Evaluation
from tasks.evaluation.walk_forward import Fold
from tasks.evaluation.walk_forward import walk_forward as judge_folds
from tasks.report.page.collect import WALK_FORWARD
from tasks.training.process import run_job
from warehouse.lake import Lake
from warehouse.tables.datasets import load_split
from warehouse.tables.evaluations import store_evaluation


@flow(name="walk-forward")
def walk_forward(
    selection: ConfigSelection, dataset_id: str | None = None, refit_model: bool = False
) -> Evaluation:
    """Refit on each fold's past, judge its future, pool the folds, conclude in words.

    Folds are those of `[walk_forward]` over the data set's sessions, cut with its own purge and
    embargo. The baselines are refitted in every fold; with `refit_model` the recipe is too, which
    takes a fine-tune a fold. Raises EvaluationInputError when the sessions are too few.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    manifest = find_dataset(settings, dataset_id)
    sink = current_sink()
    with Lake.open(settings.warehouse) as lake:
        splits = _splits(settings, manifest)
        folds = []
        for number, split in enumerate(splits, start=1):
            folds.append(_fold(lake, settings, manifest, split, refit_model=refit_model))
            sink.advance("folds", number, len(splits), folds[-1].name)
        spec = settings.evaluation
        if refit_model:
            spec = spec.model_copy(update={"candidate": FINE_TUNED})
        outcome = with_notes(judge_folds(folds, spec), [], spec)
        store_evaluation(
            lake,
            outcome.rows,
            dataset_id=manifest.dataset_id,
            split=WALK_FORWARD,
            model_ids={},
            now=clock_of(settings)(),
        )
    show_evaluation(outcome, "walk-forward", f"{len(folds)} folds, pooled")
    return outcome


def _splits(settings: Settings, manifest: DatasetManifest) -> tuple[SplitSpec, ...]:
    folder = settings.data_root / "datasets" / manifest.dataset_id
    parts = [load_split(folder / f"{name}.parquet")["session"] for name in SPLITS]
    sessions = sorted(set().union(*(part.to_pylist() for part in parts)))
    try:
        return fold_splits(sessions, settings.walk_forward, manifest.spec.split)
    except ValueError as error:
        raise EvaluationInputError(
            f"Data set {manifest.dataset_id} cannot be walked through: {error} The folds are set "
            "in [walk_forward]: train, validation and test, in sessions."
        ) from error


def _fold(
    lake: Lake,
    settings: Settings,
    manifest: DatasetManifest,
    split: SplitSpec,
    *,
    refit_model: bool,
) -> Fold:
    """One fold's data set below `folds/`, everything fitted on its train split, its test scored."""
    spec = manifest.spec.model_copy(update={"split": split})
    cut, folder = write_dataset(lake, spec, settings.data_root / "folds", lake.snapshot_id())
    train, test = (split_frame(lake, cut, folder, name) for name in ("train", "test"))
    model = _refitted(settings, folder) if refit_model else None
    who = contestants(settings, train, model, language_models=refit_model)
    span = f"{pc.min(test['session']).as_py()} to {pc.max(test['session']).as_py()}"
    return Fold(span, _learned_until(cut), test, who.p_up(test, folder, "test"))


def _refitted(settings: Settings, folder: Path) -> dict[str, Any]:
    """A fine-tune on the fold; it stays out of the registry, where it would stand for promotion."""
    order = finetune_job(settings, folder.name).model_copy(
        update={
            "dataset": folder,
            "output": settings.data_root / "folds" / "models",
            "score": ("test",),
        }
    )
    result = run_job(order, report_progress)
    return {"recipe": order.recipe.model_dump_json(), "path": result.path}


def _learned_until(cut: DatasetManifest) -> date:
    """The last session that anything was fitted or tuned on."""
    days = [cut.splits[name].last_session for name in ("train", "validation")]
    return max(day for day in days if day is not None)
