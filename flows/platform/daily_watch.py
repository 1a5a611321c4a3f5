"""Says when a daily run is due: on days on which the exchange holds a session, before it opens.

An automation of the server waits for the run from then on (notifications.py). A schedule alone
could not tell: where it is paused or gone, no run is there to be late.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from flows.platform.notifications import DAILY, DUE
from tasks.dataset.spec.clock import exchange_day, exchange_sessions

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

BEFORE_OPEN = timedelta(minutes=15)
"""Time for the daily job to read the news and still predict before the decision."""
_EARLY = timedelta(minutes=30)
"""A run that began so long before it was due is the day's, too."""


class DailyWatch:
    """Tells the server once a day that a daily run is due, unless one has begun already."""

    def __init__(self, exchange: str) -> None:
        self._exchange = exchange
        self._told: date | None = None

    def tell(self, connected: Callable[[], SyncPrefectClient], now: datetime) -> bool:
        """Tell the server if it is time; True when it was told now. Asks it nothing before."""
        day = exchange_day(self._exchange, now)
        if day == self._told:
            return False
        due = due_at(self._exchange, day)
        if due is not None and now < due:
            return False
        late = due is not None and not _has_begun(client := connected(), due - _EARLY)
        if late:
            _send_due(client)
        self._told = day
        return late


def due_at(exchange: str, day: date) -> datetime | None:
    """When the daily run before the open is due, in UTC; None on a day without a session."""
    sessions = exchange_sessions(exchange, day, day)
    if not sessions.num_rows:
        return None
    opened: datetime = sessions["open_ts"][0].as_py()
    return opened - BEFORE_OPEN


def _has_begun(client: SyncPrefectClient, since: datetime) -> bool:
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterName,
        FlowRunFilter,
        FlowRunFilterStartTime,
    )

    return bool(
        client.read_flow_runs(
            flow_run_filter=FlowRunFilter(start_time=FlowRunFilterStartTime(after_=since)),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[DAILY])),
            limit=1,
        )
    )


def _send_due(client: SyncPrefectClient) -> None:
    from prefect.events import Event, RelatedResource, Resource

    related = {
        "prefect.resource.role": "deployment",
        "prefect.resource.id": f"{DUE}.deployment",
        "prefect.resource.name": DAILY,
    }
    due = Event(
        event=DUE,
        resource=Resource.model_validate({"prefect.resource.id": DUE}),
        related=[RelatedResource.model_validate(related)],
    )
    client.request("POST", "/events", json=[due.model_dump(mode="json")])
