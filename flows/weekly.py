"""The weekly job: learn from all that is known by now, and let the rule decide who is in force."""

from __future__ import annotations

from dataclasses import dataclass

from prefect.artifacts import create_markdown_artifact

from flows.connections import clock_of
from flows.dataset import build_dataset
from flows.evaluation import evaluate
from flows.platform.notifications import one_heartbeat
from flows.platform.runtime import configured_flow
from flows.settings import ConfigSelection, Settings
from flows.training import finetune
from tasks.checks.integrity import seal
from tasks.dataset.build import refresh_examples
from tasks.evaluation.evaluate import Evaluation
from tasks.prediction.promotion import Settlement, latest_split, settle
from tasks.training.job import FinetuneResult
from warehouse.lake import Lake

_CUTS = ("start", "train_until", "validation_until", "end")


@dataclass(frozen=True, slots=True)
class Retraining:
    """One week's model, how it did on the latest sessions, and what that led to."""

    model: FinetuneResult
    evaluation: Evaluation
    settlement: Settlement


@configured_flow("weekly", hours=24)
def weekly(settings: Settings) -> Retraining:
    """Fine-tune on everything known, judge on the latest sessions, promote only who earned it.

    The splits move along with the calendar (`[retraining]`); everything else is as configured.
    """
    latest = up_to_now(settings)
    with one_heartbeat():
        dataset = build_dataset(latest)
        model = finetune(latest, dataset.dataset_id)
        evaluation = evaluate(latest, dataset.dataset_id, model.model_id)
    with Lake.open(settings.warehouse) as lake:
        settlement = settle(lake, model.model_id, settings.retraining, settings.evaluation)
        seal(lake, now=clock_of(settings)())
    create_markdown_artifact(settlement.words, key="champion", description=settlement.champion)
    return Retraining(model, evaluation, settlement)


def up_to_now(settings: Settings) -> ConfigSelection:
    """The selection with the splits cut at the latest sessions whose outcome is final."""
    now = clock_of(settings)()
    with Lake.open(settings.warehouse) as lake:
        refresh_examples(lake, settings.dataset, now=now)
        wanted = {"spec_id": settings.dataset.spec_id, "now": now}
        sessions = lake.read("sessions_labelled", wanted)["session"].to_pylist()
    split = latest_split(sessions, settings.retraining, settings.dataset.split)
    cuts = tuple(f"dataset.split.{name}={getattr(split, name)}" for name in _CUTS)
    return settings.selection.overridden(*cuts)
