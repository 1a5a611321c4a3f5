"""`newsvane watch`: what `newsvane up` does beside its server, for a server in a container."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from flows.platform import health
from flows.platform.daily_watch import DailyWatch
from flows.platform.interruption import end_in_own_time
from flows.platform.notifications import keep_alarms
from flows.platform.part_alarms import PartAlarms, log
from flows.platform.server import ServerError
from flows.platform.site_server import alarms_path

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.settings import Settings

LOOK_EVERY = 30.0
"""Seconds between two looks."""
SILENT_FOR = timedelta(minutes=10)
"""A server that answers nothing so long is an error; whoever restarts this one is told by it."""


def watch(settings: Settings) -> None:
    """Keep the alarms on the server in PREFECT_API_URL, tell of a due daily run and a lost worker.

    Ends when interrupted. Raises ServerError when the server is silent, AlarmError for alarms that
    cannot be set up.
    """
    from prefect.client.orchestration import get_client

    end_in_own_time()
    api_url = os.environ.get("PREFECT_API_URL", "")
    if not api_url:
        raise ServerError(
            "newsvane watch got no PREFECT_API_URL; expected the address of a Prefect server. Set "
            "it, or use `newsvane up`, which watches its own; nothing was started."
        )
    keep_alarms(settings.alarms)
    alarms = PartAlarms(
        settings.alarms, alarms_path(settings.data_root), api_url.removesuffix("/api")
    )
    daily = None if settings.sandbox else DailyWatch(settings.universe.exchange)
    worker, answered = "", datetime.now(UTC)
    with get_client(httpx_settings={"timeout": 15}, sync_client=True) as client:
        while True:
            try:
                worker = _look(client, daily, alarms, worker)
                answered = datetime.now(UTC)
            except httpx.HTTPError as error:
                log(f"the server at {api_url} could not be asked: {type(error).__name__}")
                if datetime.now(UTC) - answered > SILENT_FOR:
                    alarms.send("server", "down", f"it has not answered since {answered:%H:%M} UTC")
                    raise ServerError(
                        f"The Prefect server at {api_url} has not answered since "
                        f"{answered:%H:%M:%S} UTC. See its log; this watch ends and is to be "
                        "started again."
                    ) from error
            time.sleep(LOOK_EVERY)


def _look(
    client: SyncPrefectClient, daily: DailyWatch | None, alarms: PartAlarms, before: str
) -> str:
    """Look once; returns what is wrong with the worker, and tells when that begins or ends."""
    now = datetime.now(UTC)
    if daily is not None:
        daily.tell(lambda: client, now)
    fault = health.worker_fault(client, now - timedelta(days=1)) or ""
    if bool(fault) != bool(before):
        alarms.send("worker", "down" if fault else "up", fault or "it asks for work again")
    alarms.flush()
    return fault
