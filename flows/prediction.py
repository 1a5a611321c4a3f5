"""Prediction flows: made before the outcome, kept as made, scored after the close."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

import pyarrow as pa
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.connections import clock_of, find_dataset, scorer_of, training_process
from flows.platform.runtime import Described, configured_flow
from flows.settings import Settings
from flows.universe import record_universe
from tasks.checks.integrity import seal
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.render import TemplateError
from tasks.evaluation.baselines import Baselines, fit_baselines
from tasks.evaluation.spec import FINE_TUNED, EvaluationError, predictor_label
from tasks.ingest.planning import DateRange
from tasks.prediction.backtest import split_frame
from tasks.prediction.explain import Score, explain_example, explained, text_scores
from tasks.prediction.live import DRIFT, Spans, alarm, drift_in_words
from tasks.prediction.predictors import LanguageModel
from tasks.prediction.record import ForwardRecord
from tasks.prediction.registry import active_models, show_model
from warehouse.lake import Lake
from warehouse.tables.datasets import load_split
from warehouse.tables.evaluations import evaluation_frame
from warehouse.tables.explanations import store_explanations
from warehouse.tables.models import Model
from warehouse.tables.predictions import (
    ForwardPublication,
    calls_of,
    pending_predictions,
    store_backtest,
    store_forward,
    upcoming_examples,
)


@configured_flow("predict", hours=6)
def predict(
    settings: Settings,
    explain: Annotated[
        bool, Described("Ask again with each headline left out, once the predictions are kept.")
    ] = True,
) -> pa.Table:
    """Predict the next session for every ticker with news, by every active model.

    The champion (the newest model, while none was promoted) predicts as `fine_tuned`, challengers
    under their own ids, the cheap baselines beside them. What comes after the session opened is
    refused by the warehouse, whoever asks. Returns what was predicted: one row per predictor and
    ticker, with its call and rank; a single note when there is nothing to predict or no model.
    """
    clock, spec_id = clock_of(settings), settings.dataset.spec_id
    with Lake.open(settings.warehouse) as lake:
        record_universe(lake, settings, clock())
        refresh_examples(lake, settings.dataset, now=clock())
        frame = upcoming_examples(lake, spec_id, now=clock())
        active = active_models(lake, spec_id)
        if not frame.num_rows or not active:
            return _nothing(active)
        first = next(iter(active.values()))
        models = {name: model.model_id for name, model in active.items()}
        language = {name: LanguageModel.of(model) for name, model in active.items()}
        baselines, scorer = _baselines(lake, settings, first), scorer_of(settings)
        predictions = baselines.predict(frame) | scorer.upcoming(frame, language)
        published = store_forward(
            lake,
            frame,
            predictions,
            model_ids=models,
            dataset_id=first.dataset_id,
            now=clock(),
        )
        seal(lake, now=clock())
        table = calls_of(lake, frame, predictions, models)
        if explain:  # the predictions are kept by now: this may take its time
            ask = text_scores(scorer, language, baselines)
            _explain(lake, frame, predictions, ask, settings, models, clock())
    _show(table, published)
    return table


def explain(
    settings: Settings, ticker: str, session: date, model_id: str | None
) -> tuple[pa.Table, pa.Table]:
    """What each headline does to the prediction of a ticker and session, and what resembles it.

    By the model named, else the champion, and by the reference model. First table: one row per
    predictor and headline, the largest effect first. Second: the nearest examples of the training
    split. Raises ExplanationError where there is no such example, or no model and no data set.
    """
    with Lake.open(settings.warehouse) as lake, training_process(settings):
        refresh_examples(lake, settings.dataset, now=clock_of(settings)())
        active = active_models(lake, settings.dataset.spec_id)
        model = show_model(lake, model_id) if model_id else active.get(FINE_TUNED)
        dataset = model.dataset_id if model else None
        manifest = find_dataset(settings, dataset)
        folder = settings.data_root / "datasets" / manifest.dataset_id
        train = split_frame(lake, manifest, folder, "train")
        language = {FINE_TUNED: LanguageModel.of(model)} if model else {}
        return explain_example(
            lake, scorer_of(settings), manifest, train, language, ticker=ticker, session=session
        )


@configured_flow("score", hours=6)
def score(settings: Settings) -> str:
    """Score the forward predictions whose outcome is final; returns the verdict in words.

    It is about the champion's own record, with an alarm where that differs from its back-test, and
    a word where its inputs or its calls no longer look like those of the back-test.
    """
    now, spec_id = clock_of(settings)(), settings.dataset.spec_id
    with Lake.open(settings.warehouse) as lake:
        refresh_examples(lake, settings.dataset, now=now)
        record = ForwardRecord.read(lake, settings.evaluation, now=now, spec_id=spec_id)
        pending = pending_predictions(lake, spec_id, now=now).to_pylist()
        model = active_models(lake, spec_id).get(FINE_TUNED)
        label = predictor_label(model.model_id, model.stage) if model else ""
        spans = Spans.read(lake, model, record.scored.get(model.model_id)) if model else None
        drift = spans.drift(lake) if spans else DRIFT.empty_table()
    shifts = spans.compare(label, settings.evaluation) if spans else ()
    waiting = ", ".join(f"{row['n']} {row['reason']}" for row in pending) or "none"
    parts = (
        _verdict(record, model, label),
        alarm(shifts),
        drift_in_words(drift),
        f"Predictions still open: {waiting}.",
    )
    words = " ".join(filter(None, parts))
    if drift.num_rows:
        create_table_artifact(drift.to_pylist(), key="drift", description="Since the back-test")
    create_markdown_artifact(words, key="forward-verdict", description="The forward record")
    return words


def backtest(settings: Settings, wanted: DateRange) -> None:
    """Let the champion score the labelled examples of a range, marked as a back-test."""
    spec_id = settings.dataset.spec_id
    with Lake.open(settings.warehouse) as lake:
        model = active_models(lake, spec_id).get(FINE_TUNED)
        params = {"spec_id": spec_id, "first": wanted[0], "last": wanted[1]}
        frame = lake.read("examples_labelled_in_range", params)
        if model is None or not frame.num_rows:
            return
        frame = evaluation_frame(lake, spec_id, frame["example_id"])
        store_backtest(
            lake,
            frame,
            scorer_of(settings).upcoming(frame, {FINE_TUNED: LanguageModel.of(model)}),
            dataset_id=model.dataset_id,
            model_ids={FINE_TUNED: model.model_id},
            now=clock_of(settings)(),
        )


def _verdict(record: ForwardRecord, model: Model | None, label: str) -> str:
    try:
        if model is None:
            raise EvaluationError("no model has learned from examples of this spec.")
        return record.verdict(model.model_id, label).words
    except EvaluationError as reason:
        return f"No forward verdict yet: {reason}"


def _baselines(lake: Lake, settings: Settings, model: Model) -> Baselines:
    folder = settings.data_root / "datasets" / model.dataset_id
    ids = load_split(folder / "train.parquet")["example_id"]
    return fit_baselines(evaluation_frame(lake, settings.dataset.spec_id, ids))


def _explain(
    lake: Lake,
    frame: pa.Table,
    predictions: Mapping[str, Any],
    ask: Score,
    settings: Settings,
    models: Mapping[str, str],
    now: datetime,
) -> None:
    """Keep what each headline did; a template that parts none costs the explanations alone."""
    try:
        rows = explained(frame, predictions, ask, settings.dataset.render, model_ids=models)
    except TemplateError as reason:
        create_markdown_artifact(f"No explanations: {reason}", key="explanations")
        return
    store_explanations(lake, rows, now=now)


def _show(table: pa.Table, published: ForwardPublication) -> None:
    shown = table.set_column(1, "session", table["session"].cast(pa.string()))
    shown = shown.set_column(2, "decision_ts", shown["decision_ts"].cast(pa.string()))  # for JSON
    create_table_artifact(
        shown.to_pylist(),
        key="predictions",
        description=f"{published.added} added, {published.repeated} known, "
        f"{published.refused.num_rows} refused",
    )


def _nothing(active: Mapping[str, Model]) -> pa.Table:
    reason = (
        "No ticker has news for the next session: nothing to predict."
        if active
        else "No model has learned from examples of this spec yet: run `newsvane finetune`."
    )
    create_markdown_artifact(reason, key="predictions", description="no prediction")
    return pa.table({"note": [reason]})
