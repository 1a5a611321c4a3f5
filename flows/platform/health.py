"""Whether the parts of a stack do their work, asked of each by what only it can have done."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from flows.platform.notifications import TAG

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

PolledFault = Callable[["SyncPrefectClient", datetime], str | None]
"""Says what is wrong with a part that polls the server, given when it was started."""
POOL = "newsvane"
QUEUE = "default"
"""The queue that Prefect makes with a pool, and that the worker polls."""
POLLED_WITHIN = timedelta(seconds=90)
"""Runner and worker ask for work every ten seconds; a busy machine takes its time."""


def worker_name() -> str:
    """What the stack's worker on this machine is called in its pool."""
    return f"newsvane on {socket.gethostname()}"


def server_fault(api_url: str, credentials: str, seconds: float = 10) -> str | None:
    """What is wrong with the server; None when it answers who has the credentials.

    Its `health` would say that it lives even when it answers nobody else.
    """
    user, _, password = credentials.partition(":")
    try:
        answer = httpx.get(f"{api_url}/admin/version", auth=(user, password), timeout=seconds)
    except httpx.HTTPError as error:
        return f"it does not answer at {api_url} ({type(error).__name__})"
    return None if answer.is_success else f"it answers with status {answer.status_code}"


def site_fault(url: str, seconds: float = 10) -> str | None:
    """What is wrong with the report site; None when it answers, were it that it has no page yet."""
    try:
        answer = httpx.get(url, timeout=seconds)
    except httpx.HTTPError as error:
        return f"it does not answer at {url} ({type(error).__name__})"
    return None if answer.status_code < 500 else f"it answers with status {answer.status_code}"


def worker_fault(client: SyncPrefectClient, since: datetime) -> str | None:
    """What is wrong with the worker; None when it has polled since then and lately."""
    from prefect.exceptions import ObjectNotFound

    try:
        polled = client.read_work_queue_by_name(QUEUE, work_pool_name=POOL).last_polled
    except ObjectNotFound:
        polled = None
    return _unpolled(polled, since)


def deployments_fault(client: SyncPrefectClient, since: datetime) -> str | None:
    """What is wrong with the served deployments; None when they are asked for since then, lately.

    Whoever serves them begins to ask once all of them are applied.
    """
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    filed = client.read_deployments(
        deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    )
    served = [made.last_polled for made in filed if made.work_pool_name is None]
    return _unpolled(max((at for at in served if at is not None), default=None), since)


def _unpolled(polled: datetime | None, since: datetime) -> str | None:
    now = datetime.now(UTC)
    if polled is None or polled < since:
        return f"it has not asked for work since it was started at {since:%H:%M:%S} UTC"
    if now - polled > POLLED_WITHIN:
        return f"it last asked for work at {polled:%H:%M:%S} UTC"
    return None
