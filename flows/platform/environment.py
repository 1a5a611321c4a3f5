"""Prefect's environment, set before it is imported: its home, and the server runs report to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

SERVER_FILE = "server.json"
SERVER_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
"""USER:PASSWORD that the server asks for. Clients started beside it are given the same."""


def prepare_prefect(data_root: Path) -> None:
    """Set Prefect's environment for this process; call before prefect is first imported.

    Runs are recorded under DATA_ROOT/prefect. When `newsvane ui` serves that folder, runs report
    to it; otherwise Prefect starts a server of its own for the length of the command. Values the
    user has set in the environment win.
    """
    home = (data_root / "prefect").resolve()
    home.mkdir(parents=True, exist_ok=True)
    chosen = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
        "PREFECT_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # The least there is: a run whose process was killed is known as such (notifications.py).
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    }
    if SERVER_AUTH in os.environ:
        chosen["PREFECT_API_AUTH_STRING"] = os.environ[SERVER_AUTH]
    if "api_url" in (served := running(home / SERVER_FILE) or {}):
        chosen["PREFECT_API_URL"] = served["api_url"]
    for name, value in chosen.items():
        os.environ.setdefault(name, value)


def announce_server(data_root: Path, api_url: str, pid: int) -> Path:
    """Record that a server answers for DATA_ROOT, so that later commands report to it."""
    path = (data_root / "prefect").resolve() / SERVER_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"api_url": api_url, "pid": pid}), encoding="utf-8")
    return path


def running(path: Path) -> dict[str, Any] | None:
    """The record that a running process left; None without one, a broken one, or once it died."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        os.kill(int(record["pid"]), 0)
        return record
    except (OSError, ValueError, KeyError):
        return None
