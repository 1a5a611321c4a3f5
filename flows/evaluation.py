"""Evaluation: every predictor on the same test rows, and what that allows one to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.connections import clock_of, find_dataset
from flows.platform.display import verdict_table
from flows.platform.runtime import DatasetId, Described, ModelId, Selection, named_by_start
from flows.predictors import (
    Contestants,
    chosen_model,
    contestants,
    split_frame,
)
from flows.robustness import calibration_rows, illustration_rows, masking_rows
from flows.settings import load_settings
from flows.training import FINE_TUNED
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.evaluation.evaluate import Evaluation
from tasks.evaluation.evaluate import evaluate as judge
from tasks.evaluation.notes import notes
from tasks.evaluation.spec import EvaluationSpec
from tasks.evaluation.walk_forward import with_base_cutoff
from warehouse.lake import Lake
from warehouse.tables.evaluations import store_backtest, store_evaluation


@flow(name="evaluate", flow_run_name=named_by_start, timeout_seconds=24 * 3600)
def evaluate(
    selection: Selection,
    dataset_id: DatasetId = None,
    model_id: ModelId = None,
    with_language_model: Annotated[
        bool, Described("Also score language models, which takes longest.")
    ] = True,
    masked: Annotated[bool, Described("Also score the test split with names taken out.")] = True,
) -> Evaluation:
    """Score the test split with every predictor, store the metrics, conclude in words.

    Baselines are fitted on the train split alone. With language models, the recipe's untuned base
    is the zero-shot baseline; the fine-tuned model named, or configured, or newest competes.
    Second looks go with it: calibrated on the validation split, with names `masked` if wanted, and
    what the calls would have earned.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    manifest = find_dataset(settings, dataset_id)
    folder = settings.data_root / "datasets" / manifest.dataset_id
    with Lake.open(settings.warehouse) as lake:
        train, test = (split_frame(lake, manifest, folder, name) for name in ("train", "test"))
        name = manifest.dataset_id
        model = chosen_model(settings, lake, name, model_id) if with_language_model else None
        who = contestants(settings, train, model, language_models=with_language_model)
        test = _with_memory(test, who)
        predictions = who.p_up(test, folder, "test")
        spec = settings.evaluation
        if FINE_TUNED in predictions:
            spec = spec.model_copy(update={"candidate": FINE_TUNED})
        outcome = judge(test, predictions, spec)
        looks = _second_looks(lake, who, manifest, folder, test, predictions, masked=masked)
        outcome = with_notes(outcome, looks, spec)
        model_ids = {FINE_TUNED: model["model_id"]} if model else {}
        now = clock_of(settings)()
        store_evaluation(
            lake, outcome.rows, dataset_id=name, split="test", model_ids=model_ids, now=now
        )
        store_backtest(lake, test, predictions, dataset_id=name, model_ids=model_ids, now=now)
    show_evaluation(outcome, "verdict", "Test split")
    return outcome


def with_notes(outcome: Evaluation, looks: list[pa.Table], spec: EvaluationSpec) -> Evaluation:
    """The evaluation with the rows of its second looks, and what they say of the judged one."""
    rows = pa.concat_tables([outcome.rows, *looks])
    return replace(outcome, rows=rows, notes=notes(rows, outcome.verdict.predictor, spec))


def show_evaluation(outcome: Evaluation, key: str, what: str) -> None:
    """Artifacts of the running flow: the verdict in words, `KEY-table` with the numbers."""
    words = "\n".join([outcome.verdict.words, "", *(f"- {note}" for note in outcome.notes)])
    create_markdown_artifact(words, key=key, description="The verdict")
    create_table_artifact(verdict_table(outcome), key=f"{key}-table", description=what)


def _with_memory(test: pa.Table, who: Contestants) -> pa.Table:
    """Examples told apart by the end of the base model's training data, where that is known."""
    ends = [recipe.base.knowledge_cutoff for recipe, _ in who.models.values()]
    known = [end for end in ends if end is not None]
    return with_base_cutoff(test, max(known)) if known else test


def _second_looks(
    lake: Lake,
    who: Contestants,
    manifest: DatasetManifest,
    folder: Path,
    test: pa.Table,
    predictions: Mapping[str, Any],
    *,
    masked: bool,
) -> list[pa.Table]:
    looks = illustration_rows(who.settings, manifest, test, predictions)
    if manifest.splits["validation"].rows:
        validation = split_frame(lake, manifest, folder, "validation")
        looks += calibration_rows(who, validation, test, predictions, folder)
    if masked:
        looks += masking_rows(lake, who, manifest, test, predictions)
    return looks
