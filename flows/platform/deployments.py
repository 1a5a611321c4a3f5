"""The deployments that `newsvane ui` and `newsvane up` serve, and their schedules.

Schedules are weekly, in the exchange's time, and the calendar is read when a run starts. Dates
written into a schedule (an RRule) would end with the calendar they were made from, would not know
a closure announced since, and would need a new deployment to learn of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Literal, cast

from exchange_calendars import get_calendar
from prefect import Flow
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment

from flows.backfill import backfill
from flows.dataset import build_dataset
from flows.evaluation import evaluate
from flows.jobs import daily, run_everything, weekly
from flows.operations import back_up_warehouse, maintenance
from flows.platform.daily_watch import BEFORE_OPEN
from flows.platform.notifications import TAG
from flows.prediction import predict, score
from flows.settings import Settings
from flows.shards import ingest_in_shards
from flows.training import finetune

AFTER_CLOSE = timedelta(minutes=90)
"""Vendors correct the last bar for a while."""
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
    """The schedules by deployment, in exchange time; none in the sandbox, where time stands still.

    The weekly ones take no notice of holidays.
    """
    if settings.sandbox is not None:
        return {}
    exchange = settings.universe.exchange
    zone = get_calendar(exchange).tz
    return {
        "daily": daily_schedules(exchange),
        "weekly": [_schedule(time(3), "6", zone, "saturday-morning")],
        "maintenance": [_schedule(time(5), "0", zone, "sunday-morning")],
    }


def daily_schedules(exchange: str) -> list[DeploymentScheduleCreate]:
    """Before the open and after the close of every weekday on which the exchange ever trades."""
    calendar = get_calendar(exchange)
    opens, closes = calendar.open_times[-1][1], calendar.close_times[-1][1]
    weekdays = ",".join(str(day + 1) for day, on in enumerate(calendar.weekmask) if on == "1")
    skip = {"skip_closed_days": True}
    return [
        _schedule(_moved(opens, -BEFORE_OPEN), weekdays, calendar.tz, "before-the-open", skip),
        _schedule(_moved(closes, AFTER_CLOSE), weekdays, calendar.tz, "after-the-close", skip),
    ]


def _schedule(
    at: time, weekdays: str, zone: Any, slug: str, parameters: Mapping[str, bool] | None = None
) -> DeploymentScheduleCreate:
    """Weekly at a local time; of `weekdays`, 0 is Sunday."""
    cron = CronSchedule(cron=f"{at.minute} {at.hour} * * {weekdays}", timezone=str(zone))
    return DeploymentScheduleCreate(schedule=cron, parameters=dict(parameters or {}), slug=slug)


def _moved(at: time, by: timedelta) -> time:
    return (datetime.combine(date(2000, 1, 2), at) + by).time()


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
