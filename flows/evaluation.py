"""Evaluation flows: every predictor on one test split, or on walk-forward folds, and a verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pyarrow as pa
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.connections import (
    clock_of,
    find_dataset,
    finetune_job,
    scorer_of,
    training_process,
)
from flows.platform.display import current_sink, report_progress, verdict_table
from flows.platform.runtime import DatasetId, Described, ModelId, configured_flow
from flows.settings import Settings
from tasks.checks.integrity import seal
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import FINAL, SplitSpec
from tasks.evaluation import evaluate as evaluation
from tasks.evaluation.baselines import fit_baselines
from tasks.evaluation.evaluate import Evaluation
from tasks.evaluation.looks import corrected, judged
from tasks.evaluation.notes import notes
from tasks.evaluation.spec import FINE_TUNED, TEST, WALK_FORWARD, EvaluationSpec
from tasks.prediction.backtest import (
    Checks,
    Fold,
    chosen_model,
    cut_fold,
    fold_splits,
    pooled,
    span_of,
    split_frame,
    with_cutoff_of,
)
from tasks.prediction.cards import describe
from tasks.prediction.holdout import closed_holdout, unexposed_models
from tasks.prediction.predictors import (
    EvaluationInputError,
    LanguageModel,
    Predictors,
    language_models,
)
from tasks.prediction.recall import probe
from tasks.training.process import run_job
from tasks.training.recipe import load_recipe
from warehouse.lake import Lake
from warehouse.tables.evaluations import store_evaluation
from warehouse.tables.looks import open_holdout, store_looks
from warehouse.tables.predictions import store_backtest


@configured_flow("evaluate", hours=24)
def evaluate(
    settings: Settings,
    dataset_id: DatasetId = None,
    model_id: ModelId = None,
    with_language_model: Annotated[
        bool, Described("Also score language models, which takes longest.")
    ] = True,
    masked: Annotated[bool, Described("Also score the test split with names taken out.")] = True,
) -> Evaluation:
    """Score the test split with every predictor, store the metrics, conclude in words.

    Baselines are fitted on the train split alone. With language models, the recipe's untuned base
    is the zero-shot baseline; the fine-tuned model named, or configured, or newest is evaluated.
    The base is also asked without news: skill that follows its memory is withheld. Robustness
    checks go with it: calibrated on the validation split, and abstaining by it; ranks across names;
    with names `masked` if wanted; and what the calls would have earned.
    """
    manifest = find_dataset(settings, dataset_id)
    folder, name = settings.data_root / "datasets" / manifest.dataset_id, manifest.dataset_id
    now = clock_of(settings)
    with Lake.open(settings.warehouse) as lake, training_process(settings):
        train, test = (split_frame(lake, manifest, folder, part) for part in ("train", "test"))
        model = None
        if with_language_model:
            preferred = finetune_job(settings, name).model_id
            model = chosen_model(lake, name, model_id, preferred=preferred)
        tuned = LanguageModel.of(model) if model else None
        predictors = predictors_of(settings, train, tuned, language=with_language_model)
        test = with_cutoff_of(test, (one.recipe for one in predictors.models.values()))
        predictions = predictors.p_up(test, folder, "test")
        spec = candidate_spec(settings, tuned=FINE_TUNED in predictions)
        checks = Checks(manifest, folder, predictors, test, predictions, spec)
        memories, rows = checks.memory(lake, settings.data_root / "recall", now())
        rows += checks.illustration() + checks.ranking() + checks.validated(lake)
        if masked:
            rows += checks.masking(lake, settings.data_root / "masked", now())
        found = evaluation.evaluate(test, predictions, spec, memories=memories)
        outcome = _with_checks(found, rows, spec)
        ids, at = {FINE_TUNED: model.model_id} if model else {}, now()
        store_evaluation(lake, outcome.rows, dataset_id=name, split=TEST, model_ids=ids, now=at)
        store_backtest(lake, test, predictions, dataset_id=name, model_ids=ids, now=at)
        looked = judged(predictions)
        store_looks(lake, test, looked, dataset_id=name, split=TEST, model_ids=ids, now=at)
        seal(lake, now=at)
        verdicts = corrected(
            lake, outcome.verdicts, spec, dataset_id=name, split=TEST, model_ids=ids
        )
        outcome = replace(outcome, verdicts=verdicts)
        if model is not None:
            describe(model, outcome, synthetic=settings.evaluation.synthetic)
    _show(outcome, "verdict", "Test split")
    return outcome


@configured_flow("open-final", hours=24)
def open_final(
    settings: Settings,
    model_ids: Annotated[tuple[str, ...], Described("The models it is opened for, all at once.")],
    dataset_id: DatasetId = None,
) -> Evaluation:
    """Open a data set's final holdout for the models named: once, and never again.

    Models and baselines are scored side by side, the first model as the candidate. Evaluation,
    predictions and looks are stored together before anything is shown, and sealed in the hash
    chain. Raises HoldoutError, and shows nothing, when a session of it was opened before or a
    model may have learned from it.
    """
    manifest = find_dataset(settings, dataset_id)
    folder, name = settings.data_root / "datasets" / manifest.dataset_id, manifest.dataset_id
    now = clock_of(settings)
    with Lake.open(settings.warehouse) as lake, training_process(settings):
        final = closed_holdout(lake, manifest, folder)
        first, *others = unexposed_models(lake, manifest, model_ids, final)
        train = split_frame(lake, manifest, folder, "train")
        predictors = predictors_of(settings, train, LanguageModel.of(first), language=True)
        beside = {model.model_id: LanguageModel.of(model) for model in others}
        predictors = replace(predictors, models={**predictors.models, **beside})
        final = with_cutoff_of(final, (one.recipe for one in predictors.models.values()))
        predictions = predictors.p_up(final, folder, FINAL)
        spec = candidate_spec(settings, tuned=True)
        outcome = evaluation.evaluate(final, predictions, spec)
        ids, at = {FINE_TUNED: first.model_id, **{own: own for own in beside}}, now()
        looked = tuple(judged(predictions))
        open_holdout(
            lake, final, outcome.rows, predictions, looked, dataset_id=name, model_ids=ids, now=at
        )
        seal(lake, now=at)
        verdicts = corrected(
            lake, outcome.verdicts, spec, dataset_id=name, split=FINAL, model_ids=ids
        )
        outcome = replace(outcome, verdicts=verdicts)
    _show(outcome, "final-verdict", "Final holdout")
    return outcome


@configured_flow("walk-forward")
def walk_forward(
    settings: Settings, dataset_id: str | None = None, refit_model: bool = False
) -> Evaluation:
    """Refit on each fold's past, evaluate on its future, pool the folds, conclude in words.

    Folds are those of `[walk_forward]` over the data set's sessions, cut with its own purge and
    embargo. The baselines are refitted in every fold; with `refit_model` the recipe is too, which
    takes a fine-tune a fold. Raises EvaluationInputError when the sessions are too few.
    """
    manifest = find_dataset(settings, dataset_id)
    folder = settings.data_root / "datasets" / manifest.dataset_id
    sink, folds = current_sink(), []
    with Lake.open(settings.warehouse) as lake, training_process(settings):
        splits = fold_splits(manifest, folder, settings.walk_forward)
        for number, split in enumerate(splits, start=1):
            folds.append(_fold(lake, settings, manifest, split, refit_model=refit_model))
            sink.advance("folds", number, len(splits), folds[-1].name)
        spec = candidate_spec(settings, tuned=refit_model)
        frame, predictions = pooled(folds)
        outcome = _with_checks(evaluation.evaluate(frame, predictions, spec), [], spec)
        name, at = manifest.dataset_id, clock_of(settings)()
        store_evaluation(
            lake, outcome.rows, dataset_id=name, split=WALK_FORWARD, model_ids={}, now=at
        )
        looked = judged(predictions)
        store_looks(lake, frame, looked, dataset_id=name, split=WALK_FORWARD, model_ids={}, now=at)
        seal(lake, now=at)
    _show(outcome, "walk-forward", f"{len(folds)} folds, pooled")
    return outcome


def recall(settings: Settings, dataset_id: str | None, model_id: str | None) -> pa.Table:
    """What a base model recalls of the test split without news: one row per slice.

    The base is that of the model named, else of the data set's own, else the configured recipe's.
    Raises EvaluationInputError where the configuration asks about no example.
    """
    manifest = find_dataset(settings, dataset_id)
    folder, name = settings.data_root / "datasets" / manifest.dataset_id, manifest.dataset_id
    with Lake.open(settings.warehouse) as lake, training_process(settings):
        job = finetune_job(settings, name)
        model = chosen_model(lake, name, model_id, preferred=job.model_id)
        recipe = LanguageModel.of(model).recipe if model else job.recipe
        test = with_cutoff_of(split_frame(lake, manifest, folder, "test"), [recipe])
        root, now = settings.data_root / "recall", clock_of(settings)()
        inputs = (recipe, manifest, test, settings.evaluation)
        found = probe(lake, scorer_of(settings), *inputs, root=root, now=now)
    if found is None:
        raise EvaluationInputError(
            "evaluation.recall_rows is 0, so no example is asked about; set it to 1 or more."
        )
    return found.table(settings.evaluation)


def predictors_of(
    settings: Settings, train: pa.Table, tuned: LanguageModel | None, *, language: bool
) -> Predictors:
    """The baselines fitted on `train`, and language models if wanted."""
    models = {}
    if language:
        configured = load_recipe(settings.training.recipe)
        models = language_models(tuned, configured, zero_shot=settings.training.zero_shot)
    return Predictors(scorer_of(settings), fit_baselines(train), models)


def candidate_spec(settings: Settings, *, tuned: bool) -> EvaluationSpec:
    """The configured evaluation, about the fine-tuned model where there is one."""
    update = {"candidate": FINE_TUNED} if tuned else {}
    return settings.evaluation.model_copy(update=update)


def _with_checks(outcome: Evaluation, checks: list[pa.Table], spec: EvaluationSpec) -> Evaluation:
    """The evaluation with the rows of its robustness checks, and what they say in words."""
    rows = pa.concat_tables([outcome.rows, *checks])
    return replace(outcome, rows=rows, notes=notes(rows, outcome.verdict.predictor, spec))


def _show(outcome: Evaluation, key: str, what: str) -> None:
    """Artifacts of the running flow: the verdict in words, `KEY-table` with the numbers."""
    words = "\n".join([outcome.verdict.words, "", *(f"- {note}" for note in outcome.notes)])
    create_markdown_artifact(words, key=key, description="The verdict")
    create_table_artifact(verdict_table(outcome), key=f"{key}-table", description=what)


def _fold(
    lake: Lake,
    settings: Settings,
    manifest: DatasetManifest,
    split: SplitSpec,
    *,
    refit_model: bool,
) -> Fold:
    """One fold's data set below `folds/`, everything fitted on its train split, its test scored."""
    cut, folder, until = cut_fold(lake, manifest, split, settings.data_root / "folds")
    train, test = (split_frame(lake, cut, folder, name) for name in ("train", "test"))
    tuned = _refitted(settings, folder) if refit_model else None
    predictors = predictors_of(settings, train, tuned, language=refit_model)
    return Fold(span_of(test), until, test, predictors.p_up(test, folder, "test"))


def _refitted(settings: Settings, folder: Path) -> LanguageModel:
    """A fine-tune on the fold; it stays out of the registry, where it would stand for promotion."""
    job = finetune_job(settings, folder.name).model_copy(
        update={
            "dataset": folder,
            "output": settings.data_root / "folds" / "models",
            "score": ("test",),
        }
    )
    return LanguageModel(job.recipe, run_job(job, report_progress).path)
