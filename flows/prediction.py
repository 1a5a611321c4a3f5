"""Forward predictions: made before the outcome, kept as made, judged after the close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.connections import clock_of
from flows.drift import drift_in_words, drifted
from flows.live_comparison import alarm, promises, record_of
from flows.platform.runtime import Selection, named_by_start
from flows.predictors import label_scores
from flows.settings import Settings, load_settings
from flows.training import FINE_TUNED
from tasks.checks.integrity import seal
from tasks.dataset.build import refresh_examples
from tasks.evaluation.baselines import fit_baselines
from tasks.evaluation.evaluate import evaluate as judge
from tasks.evaluation.spec import EvaluationError
from tasks.ingest.planning import DateRange
from tasks.prediction.drift import DRIFT
from tasks.prediction.live import aligned
from tasks.prediction.registry import Model, check_adapter, list_models
from tasks.training.job import split_path
from tasks.training.recipe import Recipe
from warehouse.lake import Lake
from warehouse.tables.datasets import load_split
from warehouse.tables.evaluations import evaluation_frame, store_backtest
from warehouse.tables.predictions import (
    matured_predictions,
    pending_predictions,
    store_forward,
    upcoming_examples,
)


@flow(name="predict", flow_run_name=named_by_start, timeout_seconds=6 * 3600)
def predict(selection: Selection) -> pa.Table:
    """Predict the next session for every ticker with news, by every model in the running.

    The champion (the newest model, while none was promoted) speaks as `fine_tuned`, challengers
    under their own ids, the cheap baselines beside them. What comes after the session opened is
    refused by the warehouse, whoever asks. Returns what was predicted: one row per predictor and
    ticker; a single note when there is nothing to predict or nobody to predict it.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    clock = clock_of(settings)
    with Lake.open(settings.warehouse) as lake:
        refresh_examples(lake, settings.dataset, now=clock())
        frame = upcoming_examples(lake, settings.dataset.spec_id, now=clock())
        running = in_the_running(lake, settings)
        if not frame.num_rows or not running:
            return _nothing(running)
        predictions = _baselines(lake, settings, frame, next(iter(running.values())))
        predictions |= _scores(settings, frame, running)
        published = store_forward(
            lake,
            frame,
            predictions,
            model_ids={name: model.model_id for name, model in running.items()},
            dataset_id=next(iter(running.values())).dataset_id,
            now=clock(),
        )
        seal(lake, now=clock())
    table = _told(frame, predictions)
    shown = table.set_column(1, "session", table["session"].cast(pa.string()))
    shown = shown.set_column(2, "decision_ts", shown["decision_ts"].cast(pa.string()))  # for JSON
    create_table_artifact(
        shown.to_pylist(),
        key="predictions",
        description=f"{published.added} added, {published.repeated} known, "
        f"{published.refused.num_rows} refused",
    )
    return table


@flow(name="score", flow_run_name=named_by_start, timeout_seconds=6 * 3600)
def score(selection: Selection) -> str:
    """Judge the forward predictions whose outcome is final; returns the verdict in words.

    With an alarm where the champion's record lies outside what its back-test promised, and a word
    where its inputs or its calls no longer look like those of the back-test.
    """
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    now = clock_of(settings)()
    with Lake.open(settings.warehouse) as lake:
        refresh_examples(lake, settings.dataset, now=now)
        matured = matured_predictions(lake, settings.dataset.spec_id, now=now)
        pending = pending_predictions(lake, settings.dataset.spec_id, now=now).to_pylist()
        model = in_the_running(lake, settings).get(FINE_TUNED)
        record = record_of(lake, settings, matured, model) if model else None
        drift = drifted(lake, settings, record) if record else DRIFT.empty_table()
    held = promises(record, settings) if record else ()
    waiting = ", ".join(f"{row['n']} {row['reason']}" for row in pending) or "none"
    try:
        frame, predictions = aligned(matured, _judged(matured))
        words = judge(frame, predictions, settings.evaluation).verdict.words
    except EvaluationError as reason:
        words = f"No forward verdict yet: {reason}"
    told = (words, alarm(held), drift_in_words(drift), f"Predictions still open: {waiting}.")
    words = " ".join(filter(None, told))
    if drift.num_rows:
        create_table_artifact(drift.to_pylist(), key="drift", description="Since the back-test")
    create_markdown_artifact(words, key="forward-verdict", description="The forward record")
    return words


def in_the_running(lake: Lake, settings: Settings) -> dict[str, Model]:
    """The models that predict, by predictor name: the champion first, then its challengers.

    Only models that learned from examples of the present spec take part, and only with the very
    adapter that was registered. Raises RegistryError for an altered adapter.
    """
    learned = lake.read("datasets_of_spec", {"spec_id": settings.dataset.spec_id})
    fitting = set(learned["dataset_id"].to_pylist())
    models = [model for model in list_models(lake) if model.dataset_id in fitting]
    champions = [model for model in models if model.stage == "champion"] or models[:1]
    running = dict(zip((FINE_TUNED,), champions, strict=False))
    running |= {model.model_id: model for model in models if model.stage == "challenger"}
    for model in running.values():
        check_adapter(model)
    return running


def backtest(settings: Settings, wanted: DateRange) -> None:
    """Let the model in force score the labelled examples of a range, marked as a back-test."""
    with Lake.open(settings.warehouse) as lake:
        running = in_the_running(lake, settings)
        params = {
            "spec_id": settings.dataset.spec_id,
            "first": wanted[0],
            "last": wanted[1],
        }
        frame = lake.read("examples_labelled_in_range", params)
        if not running or not frame.num_rows:
            return
        model = running[FINE_TUNED]
        frame = evaluation_frame(lake, settings.dataset.spec_id, frame["example_id"])
        store_backtest(
            lake,
            frame,
            _scores(settings, frame, {FINE_TUNED: model}),
            dataset_id=model.dataset_id,
            model_ids={FINE_TUNED: model.model_id},
            now=clock_of(settings)(),
        )


def _baselines(lake: Lake, settings: Settings, frame: pa.Table, model: Model) -> dict[str, Any]:
    folder = settings.data_root / "datasets" / model.dataset_id
    ids = load_split(folder / "train.parquet")["example_id"]
    train = evaluation_frame(lake, settings.dataset.spec_id, ids)
    return dict(fit_baselines(train).predict(frame))


def _scores(settings: Settings, frame: pa.Table, models: Mapping[str, Model]) -> dict[str, Any]:
    """P(up) of each model on the frame's rows, in their order, by the name it goes under."""
    rows = frame.select(["example_id", "input"]).append_column(
        "output", pa.array([""] * frame.num_rows, pa.string())
    )
    folder = settings.data_root / "scores" / "upcoming"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, split_path(folder, "test"))
    asked = {
        name: (Recipe.model_validate(model.recipe), model.path) for name, model in models.items()
    }
    return label_scores(settings, asked, folder, "test", frame)


def _judged(matured: pa.Table) -> list[str]:
    """The champion and the baselines; a challenger that came later would narrow the rows."""
    names = dict.fromkeys(matured["predictor"].to_pylist())
    return [name for name in names if name == FINE_TUNED or not _is_model(matured, name)]


def _is_model(matured: pa.Table, name: str) -> bool:
    rows = matured.filter(pc.equal(matured["predictor"], name))
    return bool(rows["model_id"].null_count < rows.num_rows)


def _told(frame: pa.Table, predictions: Mapping[str, Any]) -> pa.Table:
    shown = frame.select(["ticker", "session", "decision_ts"])
    parts = [
        shown.append_column("predictor", pa.array([name] * frame.num_rows)).append_column(
            "p_up", pa.array(p_up, pa.float64())
        )
        for name, p_up in predictions.items()
    ]
    return pa.concat_tables(parts)


def _nothing(running: Mapping[str, Model]) -> pa.Table:
    reason = (
        "No model has learned from examples of this spec yet: run `newsvane finetune`."
        if not running
        else "No ticker has news for the next session: nothing to predict."
    )
    create_markdown_artifact(reason, key="predictions", description="no prediction")
    return pa.table({"note": [reason]})
