"""Fine-tuning: one recipe, one data set, one process of its own, one row in `models`."""

from __future__ import annotations

from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from flows.connections import clock_of, find_dataset, finetune_job
from flows.platform.artifacts import TrainingProgress, show_loss_curve
from flows.platform.display import report_progress
from flows.platform.runtime import DatasetId, configured_flow
from flows.settings import Settings
from tasks.prediction import registry
from tasks.training.job import FinetuneResult, Progress
from tasks.training.plan import Plan, plan
from tasks.training.process import run_job
from tasks.training.recipe import load_recipe
from warehouse.lake import Lake


@configured_flow("finetune", hours=24)
def finetune(settings: Settings, dataset_id: DatasetId = None) -> FinetuneResult:
    """Fine-tune the configured recipe; an adapter that already exists is found, not made again."""
    job = finetune_job(settings, find_dataset(settings, dataset_id).dataset_id)
    artifact = TrainingProgress()

    def on_progress(event: Progress) -> None:
        report_progress(event)
        artifact(event)

    result = run_job(job, on_progress)
    register(settings, result)
    show_loss_curve(result.metrics.get("loss_curve", ()), result.model_id)
    create_markdown_artifact(_card(result), key="model-card", description=result.model_id)
    return result


def plan_of(settings: Settings, dataset_id: str | None) -> Plan:
    """What the configured fine-tune would take here: memory and time, before anything is loaded."""
    manifest = find_dataset(settings, dataset_id)
    folder = settings.data_root / "datasets" / manifest.dataset_id
    return plan(load_recipe(settings.training.recipe), folder)


def register(settings: Settings, result: FinetuneResult) -> None:
    """Write one row to `models`; a model that is already there stays as it is."""
    with Lake.open(settings.warehouse) as lake:
        registry.register(lake, result, now=clock_of(settings)())


def _card(result: FinetuneResult) -> str:
    path = Path(result.path) / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else f"Model {result.model_id}"
