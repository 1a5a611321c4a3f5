"""Prefect's environment, set before it is imported: its home, its guards, the runs' server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from flows.platform.credentials import CLIENT_AUTH, SERVER_AUTH, stored_credentials
from flows.platform.processes import birth

SERVER_FILE = "server.json"
CORS_ORIGINS = "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"
NO_ORIGIN = "http://127.0.0.1:0"
"""No page is ever from there. An empty setting would be taken for none: every origin."""


LEASES = "prefect.server.concurrency.lease_storage.filesystem"


def prepare_prefect(data_root: Path) -> None:
    """Set Prefect's environment for this process; call before prefect is first imported.

    Runs are recorded under DATA_ROOT/prefect. When `newsvane ui` serves that folder, runs report
    to it; otherwise Prefect starts a server of its own for the length of the command. Either asks
    for credentials, as a page in the user's browser can reach both. Values the user has set in
    the environment win. Raises CredentialsError.
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
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
        CORS_ORIGINS: NO_ORIGIN,
        # In files, so that a server that was killed gives the slots of its runs back all the same.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        # Runners ask for work every ten seconds; a busy machine's are slower.
        "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "60",
        # The least there is: a run whose process was killed is known as such (notifications.py).
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    }
    served = running(home / SERVER_FILE) or {}
    if "api_url" in served:
        chosen["PREFECT_API_URL"] = served["api_url"]
    stored = stored_credentials(data_root)
    credentials = os.environ.get(SERVER_AUTH) or stored
    os.environ[SERVER_AUTH] = credentials
    asked = os.environ.get("PREFECT_API_URL", chosen.get("PREFECT_API_URL"))
    if asked is None:
        os.environ[CLIENT_AUTH] = credentials
    elif asked == served.get("api_url") or credentials != stored:
        # A server elsewhere, named by the user, is not told the password of ours.
        chosen[CLIENT_AUTH] = credentials
    for name, value in chosen.items():
        os.environ.setdefault(name, value)


def announce_server(data_root: Path, api_url: str, pid: int) -> Path:
    """Record that a server answers for DATA_ROOT, so that later commands report to it."""
    path = (data_root / "prefect").resolve() / SERVER_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"api_url": api_url, "pid": pid, "born": birth(pid)}), encoding="utf-8"
    )
    return path


def running(path: Path) -> dict[str, Any] | None:
    """The record that a running process left; None without one, a broken one, or once it died."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        born = birth(int(record["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Former releases wrote no birth down.
    return record if born is not None and record.get("born", born) == born else None
