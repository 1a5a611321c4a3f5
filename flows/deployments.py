"""The deployments that `newsvane ui` and `newsvane up` serve: what people start from the UI."""

from __future__ import annotations

from typing import Any, cast

from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment

from flows.backfill import backfill
from flows.daily import daily
from flows.dataset import build_dataset
from flows.evaluate import evaluate
from flows.finetune import finetune
from flows.maintenance import back_up_warehouse, maintenance
from flows.predict import predict, score
from flows.run import run_everything
from flows.settings import Settings
from flows.shards import ingest_in_shards

BEFORE_THE_OPEN = CronSchedule(cron="15 9 * * 1-5", timezone="America/New_York")
"""A quarter of an hour before New York opens: time to read the news and still predict in time."""


def deployments(settings: Settings) -> tuple[RunnerDeployment, ...]:
    """One deployment per flow; `daily` is scheduled in exchange time, outside the sandbox."""
    served: dict[str, Flow[Any, Any]] = {
        "daily": daily,
        "backfill": backfill,
        "dataset": build_dataset,
        "finetune": finetune,
        "evaluate": evaluate,
        "predict": predict,
        "score": score,
        "whole-job": run_everything,
        "ingest-in-shards": ingest_in_shards,
        "maintenance": maintenance,
        "backup": back_up_warehouse,
    }
    return tuple(_deployment(settings, name, flow) for name, flow in served.items())


def _deployment(settings: Settings, name: str, flow: Flow[Any, Any]) -> RunnerDeployment:
    scheduled = name == "daily" and settings.sandbox is None
    made = flow.to_deployment(
        name,
        schedules=[BEFORE_THE_OPEN] if scheduled else None,
        parameters={"selection": settings.selection.model_dump(mode="json")},
        description=flow.description,
        tags=["newsvane", settings.selection.profile or "default"],
    )
    return cast(RunnerDeployment, made)
