"""Alarms about the stack itself, sent by the supervisor: the server cannot tell of its own end."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx

from flows.platform.site_server import file_alarm
from flows.settings import AlarmSpec


class PartAlarms:
    """Sends alarms to the log, the inbox and the webhook at once, to the block when it can.

    The block is kept by the Prefect server, so its alarms wait until that answers; `flush` tries.
    """

    def __init__(self, spec: AlarmSpec, inbox: Path, url: str) -> None:
        self._spec, self._inbox, self._url = spec, inbox, url
        self._waiting: list[Mapping[str, str]] = []

    def send(self, part: str, state: str, message: str) -> None:
        """Tell everybody. Raises nothing: who cannot be told is named in the log."""
        alarm = {
            "subject": f"newsvane: {part} {state}",
            "flow": "stack",
            "run": part,
            "state": state,
            "message": message,
            "at": datetime.now(UTC).isoformat(),
            "url": self._url,
        }
        log(f"{part}: {state}: {message}")
        try:
            file_alarm(self._inbox, alarm)
        except OSError as error:
            log(f"the alarm could not be written to {self._inbox}: {error.strerror}")
        if self._spec.webhook:
            try:
                httpx.post(self._spec.webhook, json=alarm, timeout=10).raise_for_status()
            except httpx.HTTPError as error:
                log(f"alarms.webhook did not take the alarm: {type(error).__name__}")
        if self._spec.block:
            self._waiting.append(alarm)

    def flush(self) -> None:
        """Send the notification block what waits for it; call it while the server is up."""
        while self._waiting and self._spec.block:
            alarm = self._waiting[0]
            try:
                _notify(self._spec.block, alarm)
            except Exception as error:
                log(f"the block {self._spec.block} took no alarm yet: {type(error).__name__}")
                return
            self._waiting.pop(0)


def _notify(block: str, alarm: Mapping[str, str]) -> None:
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    loaded = Block.load(block, _sync=True)  # type: ignore[call-arg]
    if isinstance(loaded, NotificationBlock):
        _: object = loaded.notify(alarm["message"], subject=alarm["subject"])


def log(line: str) -> None:
    """Write a line to the stack's log, which a service manager keeps too."""
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} stack: {line}", file=sys.stderr, flush=True)
