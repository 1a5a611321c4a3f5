"""Alarms: what the Prefect server does by itself when a run fails, or dies without a message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from flows.settings import AlarmSpec

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import AutomationCore

TAG = "newsvane"
"""Every deployment of ours bears it, and so does every run that is started from one."""
FAILED = "newsvane: a run failed"
DIED = "newsvane: a run died"
MISSING = "newsvane: no daily run"
DUE = "newsvane.daily.due"
"""The event that says that a daily run should begin now (see daily_watch.py)."""
DAILY = "daily"
GRACE = timedelta(minutes=10)
"""How long after it was due a daily run may begin unheard."""
SILENCE = timedelta(seconds=100)
"""Three heartbeats (see runtime.py) and a bit: a run so silent has lost its process."""

_SUBJECT = "newsvane: {{ flow.name }} {{ flow_run.state.name | lower }}"
_BODY = "{{ flow_run.name }}: {{ flow_run.state.message }}\n{{ flow_run | ui_url }}"
_PAYLOAD = """{"subject": {{ ("newsvane: " ~ flow.name ~ " " ~ flow_run.state.name) | tojson }},
"flow": {{ flow.name | tojson }}, "run": {{ flow_run.name | tojson }},
"state": {{ flow_run.state.name | tojson }}, "message": {{ flow_run.state.message | tojson }},
"at": {{ flow_run.state.timestamp | string | tojson }}, "url": {{ flow_run | ui_url | tojson }}}"""


_MISSED = "No daily run began within {minutes:.0f} minutes after it was due"
_MISSED_SUBJECT = "newsvane: no daily run"
_MISSED_PAYLOAD = """{"subject": "newsvane: no daily run", "flow": "daily", "run": "",
"state": "Missing", "message": %s,
"at": {{ firing.triggered | string | tojson }}, "url": ""}"""


class AlarmError(RuntimeError):
    """An alarm cannot be set up as configured; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """An address that takes alarms by POST, and the secret it asks for as a bearer token."""

    url: str
    token: str | None = None


def keep_alarms(
    spec: AlarmSpec, inbox: Receiver | None = None, grace: timedelta = GRACE
) -> tuple[str, ...]:
    """Create or renew our automations on the server in PREFECT_API_URL; returns their names.

    Doing it again changes nothing; one that somebody paused stays paused, and alarms go when nobody
    is left to hear them. Raises AlarmError for an unknown block.
    """
    from prefect.client.orchestration import get_client

    receivers = ({"newsvane-webhook": Receiver(spec.webhook)} if spec.webhook else {}) | (
        {"newsvane-inbox": inbox} if inbox else {}
    )
    webhooks = [_webhook(name, receiver) for name, receiver in receivers.items()]
    with get_client(sync_client=True) as client:
        wanted = list(_automations(webhooks, _notification(client, spec.block), grace))
        for automation in wanted:
            _keep(client, automation)
        for name in {FAILED, MISSING} - {automation.name for automation in wanted}:
            for stale in client.read_automations_by_name(name):
                client.delete_automation(stale.id)
    return tuple(automation.name for automation in wanted)


@contextmanager
def one_heartbeat() -> Iterator[None]:
    """Flows called inside send no heartbeats: the run around them does.

    Each heartbeat thread costs its flow up to a second at the end.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def _automations(
    webhooks: Sequence[UUID], block: UUID | None, grace: timedelta
) -> Iterator[AutomationCore]:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import CallWebhook, ChangeFlowRunState, SendNotification
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    run = {"prefect.resource.id": "prefect.flow-run.*"}
    ended = {
        f"prefect.flow-run.{how}" for how in ("Failed", "Crashed", "TimedOut", "Cancelled")
    }  # fmt: skip
    # Runs that a run of ours has called fail with it and would repeat the same alarm.
    ours = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}
    notices: list[CallWebhook | SendNotification] = [
        CallWebhook(block_document_id=webhook, payload=_PAYLOAD) for webhook in webhooks
    ]
    if block is not None:
        notices.append(SendNotification(block_document_id=block, subject=_SUBJECT, body=_BODY))
    if notices:
        yield AutomationCore(
            name=FAILED,
            description="Notifies whoever [alarms] names, and the inbox of `newsvane up`.",
            tags=[TAG],
            trigger=EventTrigger(
                match=run,
                match_related=ours,
                posture=Posture.Reactive,  # said aloud: an update sends only what was set
                expect=ended | {"prefect.flow-run.Late"},
                for_each={"prefect.resource.id"},
            ),
            actions=list(notices),
        )
        yield _missing_daily(webhooks, block, grace)
    heartbeat = "prefect.flow-run.heartbeat"
    yield AutomationCore(
        name=DIED,
        description="Marks a run whose process was killed as crashed, so that it is reported.",
        tags=[TAG],
        trigger=EventTrigger(
            match=run,
            match_related=ours,
            posture=Posture.Proactive,
            after={heartbeat},
            expect={heartbeat, "prefect.flow-run.Completed"} | ended,
            for_each={"prefect.resource.id"},
            within=SILENCE,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"No heartbeat for {SILENCE.seconds} s: its process is gone.",
            )
        ],
    )


def _missing_daily(
    webhooks: Sequence[UUID], block: UUID | None, grace: timedelta
) -> AutomationCore:
    from prefect.events.actions import CallWebhook, SendNotification
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    missed = f"{_MISSED.format(minutes=grace.total_seconds() / 60)}."
    notices: list[CallWebhook | SendNotification] = [
        CallWebhook(block_document_id=webhook, payload=_MISSED_PAYLOAD % json.dumps(missed))
        for webhook in webhooks
    ]
    if block is not None:
        notices.append(
            SendNotification(block_document_id=block, subject=_MISSED_SUBJECT, body=missed)
        )
    deployment = {"prefect.resource.role": "deployment", "prefect.resource.name": DAILY}
    return AutomationCore(
        name=MISSING,
        description="Notifies when no daily run begins on a day on which the exchange is open.",
        tags=[TAG],
        trigger=EventTrigger(
            match={"prefect.resource.id": [DUE, "prefect.flow-run.*"]},
            match_related=deployment,
            posture=Posture.Proactive,
            after={DUE},
            expect={"prefect.flow-run.Running"},
            for_each={"related:deployment:prefect.resource.name"},
            within=grace,
        ),
        actions=list(notices),
    )


def _keep(client: SyncPrefectClient, automation: AutomationCore) -> None:
    known = client.read_automations_by_name(automation.name)
    for extra in known[1:]:
        client.delete_automation(extra.id)
    if not known:
        client.create_automation(automation)
        return
    renewed = automation.model_copy(update={"enabled": known[0].enabled})
    if renewed.model_dump() != known[0].model_dump(include=set(renewed.model_dump())):
        client.update_automation(known[0].id, renewed)


def _webhook(name: str, receiver: Receiver) -> UUID:
    from prefect.blocks.webhook import Webhook

    headers = {"Content-Type": "application/json"}
    if receiver.token is not None:
        headers["Authorization"] = f"Bearer {receiver.token}"
    block = Webhook.model_validate({"url": receiver.url, "headers": headers})
    saved = block.save(name, overwrite=True)
    return UUID(str(saved))


def _notification(client: SyncPrefectClient, block: str | None) -> UUID | None:
    from prefect.exceptions import ObjectNotFound

    if block is None:
        return None
    kind, _, name = block.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound as error:
        raise AlarmError(
            f"The Prefect server keeps no block {block!r}, which alarms.block in newsvane.toml "
            "names. Create it in the UI under Blocks, or correct the name (TYPE/NAME, in lower "
            "case with hyphens); no alarm was changed."
        ) from error
