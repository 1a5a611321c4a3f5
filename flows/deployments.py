"""The deployments that `newsvane ui` serves: what people start from the Prefect UI."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment

from flows.backfill import backfill
from flows.daily import daily
from flows.dataset import build_dataset
from flows.evaluate import evaluate
from flows.finetune import finetune
from flows.run import run_everything
from flows.settings import Settings

BEFORE_THE_OPEN = CronSchedule(cron="15 9 * * 1-5", timezone="America/New_York")


def deployments(settings: Settings) -> tuple[RunnerDeployment, ...]:
    """One deployment per flow; `daily` is scheduled in exchange time and rests on holidays."""
    shared: dict[str, Any] = {
        "parameters": {"selection": settings.selection.model_dump(mode="json")},
        "tags": ["newsvane"],
    }
    scheduled = {"schedules": [BEFORE_THE_OPEN]} if settings.sandbox is None else {}
    return (
        daily.to_deployment("daily", **scheduled, **shared),
        backfill.to_deployment("backfill", **shared),
        build_dataset.to_deployment("dataset", **shared),
        finetune.to_deployment("finetune", **shared),
        evaluate.to_deployment("evaluate", **shared),
        run_everything.to_deployment("whole-job", **shared),
    )
