"""Runs whose process is gone without a word, as after a power cut: told, and their slots freed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from httpx import HTTPStatusError, codes

from flows.platform.health import POOL, worker_name
from flows.platform.notifications import TAG
from flows.platform.processes import has_ended

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import FlowRun, StateType
    from prefect.client.schemas.responses import DeploymentResponse

_PAGE = 200
GONE = "Its process is gone: it ended with the machine or the stack, without a message."
MISSED = "The stack was down when this was due; the latest run that was due does its work."


def crash_dead_runs(
    client: SyncPrefectClient, alive: Collection[str], before: datetime
) -> list[str]:
    """Mark what was under way at `before` and has no process as crashed; returns their names.

    `alive` are the ids of the runs that have one. Looked at are the runs that this stack executes:
    those of deployments it serves itself, of its worker on this machine, and those that somebody
    started by hand on this machine. Their slots are freed and runs that they called end with them.
    """
    from prefect.client.schemas.objects import StateType

    served = {made.id: made for made in _deployments(client)}
    busy = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    alone = _works_alone(client)
    dead = [
        run
        for run in _runs(client, list(served), busy)
        if str(run.id) not in alive and _is_older(run, before) and _is_ours(run, served, alone)
    ]
    dead += [
        run for run in _by_hand(client, busy) if _is_older(run, before) and _has_lost_process(run)
    ]
    _send_last_states(client, dead)
    for run in dead:
        _crash(client, run)
        for called in _called_by(client, run):
            _crash(client, called)
    still_busy = [run.deployment_id for run in _runs(client, list(served), busy)]
    for made in served.values():
        _free_slots(client, made, still_busy.count(made.id))
    return [run.name for run in dead]


def skip_missed_runs(client: SyncPrefectClient, now: datetime) -> list[str]:
    """Of the runs that a schedule had due before `now`, leave the latest of each deployment.

    After days without the stack they would all begin at once, and all but one end as cancelled.
    Returns the names of those that are skipped.
    """
    from prefect.client.schemas.objects import StateType
    from prefect.states import Completed

    scheduled = _runs(client, [made.id for made in _deployments(client)], [StateType.SCHEDULED])
    missed = missed_of(scheduled, now)
    for run in missed:
        client.set_flow_run_state(run.id, Completed(name="Skipped", message=MISSED), force=True)
    return [run.name for run in missed]


def missed_of(scheduled: Sequence[FlowRun], now: datetime) -> list[FlowRun]:
    """Of runs that wait, those a schedule had due before `now`, but for each deployment's latest.

    Runs that a person asked for wait on.
    """
    due = [
        (run.expected_start_time, run)
        for run in scheduled
        if run.auto_scheduled and run.expected_start_time and run.expected_start_time < now
    ]
    latest = {run.deployment_id: run.id for _, run in sorted(due, key=lambda pair: pair[0])}
    return [run for _, run in due if latest[run.deployment_id] != run.id]


def _deployments(client: SyncPrefectClient) -> list[DeploymentResponse]:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    return client.read_deployments(
        deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    )


def _runs(
    client: SyncPrefectClient, deployments: Sequence[UUID], states: Sequence[StateType]
) -> list[FlowRun]:
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterDeploymentId,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )

    if not deployments:
        return []
    chosen = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=list(deployments)),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))),
    )
    return list(_paged(client, chosen))


def _by_hand(client: SyncPrefectClient, states: Sequence[StateType]) -> list[FlowRun]:
    """Runs that neither a deployment nor another run started."""
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterDeploymentId,
        FlowRunFilterParentTaskRunId,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )

    chosen = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(is_null_=True),
        parent_task_run_id=FlowRunFilterParentTaskRunId(is_null_=True),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))),
    )
    return list(_paged(client, chosen))


def _has_lost_process(run: FlowRun) -> bool:
    """Whether it says which process of this machine it is in, and that one is gone."""
    return run.infrastructure_pid is not None and has_ended(run.infrastructure_pid)


def _called_by(client: SyncPrefectClient, run: FlowRun) -> list[FlowRun]:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

    chosen = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]))
    return [called for called in _paged(client, chosen) if called.state and not _ended(called)]


def _paged(client: SyncPrefectClient, chosen: FlowRunFilter) -> Iterator[FlowRun]:
    offset = 0
    while True:
        page = client.read_flow_runs(flow_run_filter=chosen, limit=_PAGE, offset=offset)
        yield from page
        if len(page) < _PAGE:
            return
        offset += _PAGE


def _ended(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()


def _is_older(run: FlowRun, moment: datetime) -> bool:
    return run.state is not None and run.state.timestamp < moment


def _is_ours(run: FlowRun, served: dict[UUID, DeploymentResponse], alone: bool) -> bool:
    """Whether its process would be on this machine: a pool may have workers elsewhere too."""
    pool = served[run.deployment_id].work_pool_name if run.deployment_id is not None else None
    return pool is None or (pool == POOL and alone)


def _works_alone(client: SyncPrefectClient) -> bool:
    """Whether no worker but ours polls the pool. Of others' runs their heartbeats tell."""
    from prefect.client.schemas.objects import WorkerStatus
    from prefect.exceptions import ObjectNotFound

    path = {"work_pool_name": POOL}
    try:
        found = client.request(
            "POST", "/work_pools/{work_pool_name}/workers/filter", path_params=path, json={}
        ).json()
    except ObjectNotFound:
        return True
    except HTTPStatusError as error:
        if error.response.status_code == codes.NOT_FOUND:
            return True
        raise
    online = {entry["name"] for entry in found if entry["status"] == WorkerStatus.ONLINE.value}
    return online <= {worker_name()}


def _send_last_states(client: SyncPrefectClient, runs: Sequence[FlowRun]) -> None:
    """Send the events of the runs' last states again, by the ids that the server gives them.

    They may have been lost with the server, and automations hear of the next state only after it
    or a quarter of an hour later. An event that is known already is kept once.
    """
    from prefect.events import Event, Resource

    events = [
        Event(
            id=run.state.id,
            occurred=run.state.timestamp,
            event=f"prefect.flow-run.{run.state.name}",
            resource=Resource.model_validate({"prefect.resource.id": f"prefect.flow-run.{run.id}"}),
        )
        for run in runs
        if run.state is not None
    ]
    if events:
        client.request("POST", "/events", json=[event.model_dump(mode="json") for event in events])


def _crash(client: SyncPrefectClient, run: FlowRun) -> None:
    from prefect.states import Crashed

    client.set_flow_run_state(run.id, Crashed(message=GONE), force=True)


def _free_slots(client: SyncPrefectClient, made: DeploymentResponse, busy: int) -> None:
    """Count the slots anew: a run that is gone, or a server that died, gives none back."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    limit = made.global_concurrency_limit
    if limit is not None and limit.active_slots > busy:
        client.update_global_concurrency_limit(
            limit.name, GlobalConcurrencyLimitUpdate(active_slots=busy)
        )
