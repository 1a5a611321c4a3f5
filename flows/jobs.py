"""The jobs: everything once, every day, every week. The table of contents of what runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from prefect.artifacts import create_markdown_artifact

from flows.connections import clock_of, training_process
from flows.dataset import build_dataset
from flows.evaluation import evaluate
from flows.features import import_what_is_there
from flows.ingest import ingest, poll_headlines, retry_missing
from flows.operations import deposit_without_delay
from flows.platform.display import IngestSummary
from flows.platform.notifications import one_heartbeat
from flows.platform.runtime import Described, configured_flow, ended, skipped
from flows.prediction import predict, score
from flows.report import write_report, write_site
from flows.settings import ConfigSelection, Settings
from flows.training import finetune
from tasks.checks.integrity import seal
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.clock import exchange_day, exchange_sessions
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.evaluation.evaluate import Evaluation
from tasks.prediction.promotion import PromotionDecision, decide_promotion
from tasks.prediction.registry import latest_split
from tasks.training.job import FinetuneResult
from warehouse.lake import Lake

LOOK_BACK = timedelta(days=14)

SkipClosedDays = Annotated[
    bool, Described("End at once on days on which the exchange is closed. Schedules say yes.")
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of the whole job produced."""

    ingested: IngestSummary
    dataset: DatasetManifest
    model: FinetuneResult
    evaluation: Evaluation
    report: Path


@dataclass(frozen=True, slots=True)
class Retraining:
    """One week's model, how it did on the latest sessions, and what that led to."""

    model: FinetuneResult
    evaluation: Evaluation
    decision: PromotionDecision


@configured_flow("newsvane", hours=3 * 24)
def run_everything(settings: Settings) -> Outcome:
    """Ingest, validate, label, render, fine-tune, evaluate, report: only what is new is done."""
    selection, history = settings.selection, settings.history
    end = history.end or clock_of(settings)().date()
    ingested = ingest(selection, history.prices_start, end, what=("prices",)).plus(
        ingest(selection, history.headlines_start, end, what=("headlines",))
    )
    ingested = ingested.plus(import_what_is_there(settings, (ingested.start, ingested.end)))
    dataset = build_dataset(selection)
    with training_process(settings):
        model = finetune(selection, dataset.dataset_id)
        evaluation = evaluate(selection, dataset.dataset_id, model.model_id)
    report = write_report(selection, dataset.dataset_id)
    write_site(selection)
    return Outcome(ingested, dataset, model, evaluation, report)


@configured_flow("daily", hours=3)
def daily(settings: Settings, skip_closed_days: SkipClosedDays = False) -> IngestSummary:
    """Fill the gaps of the last two weeks, poll every feed, score, predict, write the site.

    Own columns are read again from their files, as [[features]] says. What is missing from any
    earlier day is asked for again when it is due. Where a witness is configured, the hash chain
    over the predictions is deposited with it.
    Started by hand it also runs on days without a session: news of weekends and holidays counts
    for the next one, and the prediction for it may be made as soon as there is some. A scheduled
    run ends there as Skipped; the next one asks for what it left. It ends as Incomplete when a
    ticker or a feed could not be had.
    """
    selection, exchange = settings.selection, settings.universe.exchange
    now = clock_of(settings)()
    day = exchange_day(exchange, now)
    if skip_closed_days and not exchange_sessions(exchange, day, day).num_rows:
        nothing = IngestSummary(start=day, end=day)
        return skipped(nothing, f"{exchange} holds no session on {day:%A %x}.")
    with one_heartbeat():
        # The past first: an old story that a poll still shows is then known by its earlier version.
        summary = ingest(selection, now.date() - LOOK_BACK, now.date())
        summary = summary.plus(retry_missing(settings))
        summary = summary.plus(poll_headlines(settings))
        summary = summary.plus(import_what_is_there(settings, (summary.start, summary.end)))
        build_dataset(selection)
        score(selection)
        predict(selection)
        deposit_without_delay(settings)
        write_site(selection)
    return ended(summary)


@configured_flow("weekly", hours=24)
def weekly(settings: Settings) -> Retraining:
    """Fine-tune on everything known, evaluate on the latest sessions, promote only who earned it.

    The splits move along with the calendar (`[retraining]`); everything else is as configured.
    """
    latest = with_latest_split(settings)
    with one_heartbeat(), training_process(settings):
        dataset = build_dataset(latest)
        model = finetune(latest, dataset.dataset_id)
        evaluation = evaluate(latest, dataset.dataset_id, model.model_id)
    with Lake.open(settings.warehouse) as lake:
        decision = decide_promotion(lake, model.model_id, settings.retraining, settings.evaluation)
        seal(lake, now=clock_of(settings)())
    create_markdown_artifact(decision.words, key="champion", description=decision.champion)
    return Retraining(model, evaluation, decision)


def with_latest_split(settings: Settings) -> ConfigSelection:
    """The selection with the splits cut at the latest sessions whose outcome is final."""
    now = clock_of(settings)()
    with Lake.open(settings.warehouse) as lake:
        refresh_examples(lake, settings.dataset, now=now)
        known = {"spec_id": settings.dataset.spec_id, "now": now}
        sessions = lake.read("sessions_labelled", known)["session"].to_pylist()
    split = latest_split(sessions, settings.retraining, settings.dataset.split)
    cuts = ("start", "train_until", "validation_until", "end")
    called = settings.dataset.name
    return settings.selection.overridden(
        *(f"dataset.split.{name}={getattr(split, name)}" for name in cuts),
        *([f"dataset.name={called}-weekly"] if called else []),
    )
