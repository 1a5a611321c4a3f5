"""The whole job, in the order in which a headline travels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import flow

from flows.connections import clock_of
from flows.dataset import build_dataset
from flows.evaluation import evaluate
from flows.ingest import ingest
from flows.platform.parameters import Selection
from flows.platform.runtime import named_by_start
from flows.platform.summary import IngestSummary
from flows.report import write_report, write_site
from flows.settings import load_settings
from flows.training import finetune
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.evaluation.evaluate import Evaluation
from tasks.training.job import FinetuneResult


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of the whole job produced."""

    ingested: IngestSummary
    dataset: DatasetManifest
    model: FinetuneResult
    evaluation: Evaluation
    report: Path


@flow(name="newsvane", flow_run_name=named_by_start, timeout_seconds=3 * 24 * 3600)
def run_everything(selection: Selection) -> Outcome:
    """Ingest, validate, label, render, fine-tune, evaluate, report: only what is new is done."""
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    history = settings.history
    end = history.end or clock_of(settings)().date()
    ingested = ingest(selection, history.prices_start, end, what=("prices",)).plus(
        ingest(selection, history.headlines_start, end, what=("headlines",))
    )
    dataset = build_dataset(selection)
    model = finetune(selection, dataset.dataset_id)
    evaluation = evaluate(selection, dataset.dataset_id, model.model_id)
    report = write_report(selection)
    write_site(selection)
    return Outcome(ingested, dataset, model, evaluation, report)
