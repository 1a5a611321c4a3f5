"""When the daily job runs: in the exchange's own time, and only on days that it trades.

The schedule is a weekly one and the calendar is asked when a run starts. Dates written into a
schedule (an RRule) would end with the calendar they were made from, would not know a closure
announced since, and would need a new deployment to learn of either.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.schemas.actions import DeploymentScheduleCreate

BEFORE_OPEN = timedelta(minutes=15)
"""Time to read the news and still predict before the decision."""
AFTER_CLOSE = timedelta(minutes=90)
"""Vendors correct the last bar for a while."""


def local_day(exchange: str, now: datetime) -> date:
    """The date at the exchange (a code as in exchange_calendars) at an instant."""
    return now.astimezone(_calendar(exchange).tz).date()


def trades_on(exchange: str, day: date) -> bool:
    """Whether the exchange holds a session on one of its own dates."""
    return bool(_calendar(exchange, day).is_session(day.isoformat()))


def daily_schedules(exchange: str) -> list[DeploymentScheduleCreate]:
    """Before the open and after the close of every weekday on which the exchange ever trades."""
    calendar = _calendar(exchange)
    opens, closes = calendar.open_times[-1][1], calendar.close_times[-1][1]
    weekdays = ",".join(str(day + 1) for day, on in enumerate(calendar.weekmask) if on == "1")
    return [
        _weekly(_moved(opens, -BEFORE_OPEN), weekdays, calendar.tz, "before-the-open"),
        _weekly(_moved(closes, AFTER_CLOSE), weekdays, calendar.tz, "after-the-close"),
    ]


def weekly_schedule(exchange: str, at: time, weekday: int, slug: str) -> DeploymentScheduleCreate:
    """Once a week at a local time; 0 is Sunday. Holidays make no difference."""
    made = _weekly(at, str(weekday), _calendar(exchange).tz, slug)
    return made.model_copy(update={"parameters": {}})


def _weekly(at: time, weekdays: str, zone: Any, slug: str) -> DeploymentScheduleCreate:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    cron = CronSchedule(cron=f"{at.minute} {at.hour} * * {weekdays}", timezone=str(zone))
    return DeploymentScheduleCreate(schedule=cron, parameters={"skip_closed_days": True}, slug=slug)


def _moved(at: time, by: timedelta) -> time:
    return (datetime.combine(date(2000, 1, 2), at) + by).time()


def _calendar(exchange: str, day: date | None = None) -> Any:
    import exchange_calendars

    if day is None:
        return exchange_calendars.get_calendar(exchange)
    month = timedelta(days=31)
    return exchange_calendars.get_calendar(exchange, start=day - month, end=day + month)
