"""The deployments that `newsvane ui` and `newsvane up` serve: what people start from the UI."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any, Literal, cast

from prefect import Flow
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment

from flows.backfill import backfill
from flows.daily import daily
from flows.dataset import build_dataset
from flows.evaluation import evaluate
from flows.operations import back_up_warehouse, maintenance
from flows.platform.notifications import TAG
from flows.platform.schedules import daily_schedules, weekly_schedule
from flows.prediction import predict, score
from flows.run import run_everything
from flows.settings import Settings
from flows.shards import ingest_in_shards
from flows.training import finetune
from flows.weekly import weekly

SATURDAY_MORNING = time(3)
SUNDAY_MORNING = time(5)
AT_ONCE: Mapping[str, tuple[int, Literal["CANCEL_NEW", "ENQUEUE"]]] = {
    "daily": (1, "CANCEL_NEW"),
    "backfill": (2, "ENQUEUE"),
    "weekly": (1, "CANCEL_NEW"),
    "finetune": (1, "ENQUEUE"),
    "whole-job": (1, "ENQUEUE"),
    "ingest-in-shards": (1, "ENQUEUE"),
    "maintenance": (1, "CANCEL_NEW"),
}
"""How many runs of a deployment may go on at once, and what becomes of one more."""


def deployments(settings: Settings) -> tuple[RunnerDeployment, ...]:
    """One deployment per flow; schedules are in exchange time and only outside the sandbox."""
    served: dict[str, Flow[Any, Any]] = {
        "daily": daily,
        "weekly": weekly,
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


def schedules(settings: Settings) -> dict[str, list[DeploymentScheduleCreate]]:
    """The schedules by deployment; none in the sandbox, where time stands still."""
    if settings.sandbox is not None:
        return {}
    exchange = settings.universe.exchange
    return {
        "daily": daily_schedules(exchange),
        "weekly": [weekly_schedule(exchange, SATURDAY_MORNING, 6, "saturday-morning")],
        "maintenance": [weekly_schedule(exchange, SUNDAY_MORNING, 0, "sunday-morning")],
    }


def _deployment(settings: Settings, name: str, flow: Flow[Any, Any]) -> RunnerDeployment:
    limit = AT_ONCE.get(name)
    made = flow.to_deployment(
        name,
        schedules=schedules(settings).get(name),
        concurrency_limit=limit
        and ConcurrencyLimitConfig(
            limit=limit[0], collision_strategy=ConcurrencyLimitStrategy(limit[1])
        ),
        parameters={"selection": settings.selection.model_dump(mode="json")},
        description=flow.description,
        tags=[TAG, settings.selection.profile or "default"],
    )
    return cast(RunnerDeployment, made)
