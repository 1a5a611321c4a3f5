"""The whole stack, `newsvane up` and `down`: Prefect server, worker, deployments, alarms, site."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.platform.environment import running
from flows.platform.notifications import keep_alarms
from flows.platform.server import (
    HOST,
    ServerError,
    children,
    interrupt,
    prefect_server,
    require_free,
)
from flows.platform.site_server import site_server

if TYPE_CHECKING:
    from flows.settings import Settings

POOL = "newsvane"


def state_path(settings: Settings) -> Path:
    """Where the running stack is written down."""
    return settings.data_root / "stack.json"


def start(settings: Settings, words: Sequence[str], seconds: float = 180) -> dict[str, Any]:
    """Start the stack in the background and wait until it says that it is up.

    `words` are the arguments of the command that runs in the foreground. Raises ServerError when
    it already runs or does not come up in time.
    """
    path = state_path(settings)
    if up := running(path):
        raise ServerError(
            f"The stack is already up (process {up['pid']}): UI {up['ui']}, site {up['site']}. "
            "Stop it with `newsvane down` first."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.with_name("stack.log")
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "flows.cli.main", *words],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if state := running(path):
            return state
        time.sleep(0.25)
    if process.poll() is None:
        process.terminate()
    last_words = log.read_text(encoding="utf-8", errors="replace").strip()[-600:]
    raise ServerError(
        f"The stack did not come up; its last words: {last_words or 'nothing'} (see {log})."
    )


def stop(settings: Settings, seconds: float = 60) -> bool:
    """Stop the stack and wait until it is gone; False when none was running."""
    path = state_path(settings)
    state = running(path)
    if not state:
        path.unlink(missing_ok=True)
        return False
    pid, deadline = int(state["pid"]), time.monotonic() + seconds
    os.kill(pid, signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.2)
    return True


def run_stack(
    settings: Settings,
    words: Sequence[str],
    *,
    host: str,
    port: int,
    site_port: int,
    names: Sequence[str] = (),
) -> None:
    """Run server, worker, deployments, alarms and site until stopped.

    Children end with this process; one that dies takes the stack down, so that nothing is half
    up without notice. `words` choose the configuration for the children.
    """
    require_free(HOST, site_port)
    signal.signal(signal.SIGTERM, interrupt)
    path = state_path(settings)
    with (
        prefect_server(settings.data_root, port, host, names) as api_url,
        site_server(settings.data_root, HOST, site_port) as inbox,
    ):
        os.environ["PREFECT_API_URL"] = api_url  # read when Prefect is first imported, as here
        keep_alarms(settings.alarms, inbox)
        ours = [sys.executable, "-m", "flows.cli.main", *words, "serve"]
        worker = [sys.executable, "-m", "prefect", "worker", "start"]
        commands = (ours, [*worker, "--pool", POOL, "--type", "process"])
        with children(commands) as processes:
            state = {
                "pid": os.getpid(),
                "ui": api_url.removesuffix("/api"),
                "site": f"http://{HOST}:{site_port}",
            }
            path.write_text(json.dumps(state), encoding="utf-8")
            try:
                _watch(processes)
            finally:
                path.unlink(missing_ok=True)


def _watch(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        while all(process.poll() is None for process in processes):
            time.sleep(0.5)
        dead = next(process for process in processes if process.poll() is not None)
        raise ServerError(
            f"{dead.args!r} ended with exit code {dead.returncode}; the stack goes down with it. "
            "Correct what its last words in stack.log say and run `newsvane up` again."
        )
