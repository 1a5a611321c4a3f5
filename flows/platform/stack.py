"""`newsvane up` and `down`: server, worker, deployments and site as children of one process."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.platform.environment import SERVER_AUTH
from flows.platform.notifications import keep_alarms
from flows.platform.server import HOST, ServerError, interrupt, prefect_server, require_free
from flows.platform.site_server import site_server
from flows.settings import Settings

POOL = "newsvane"


def state_path(settings: Settings) -> Path:
    """Where the running stack is written down."""
    return settings.data_root / "stack.json"


def check_exposure(host: str, environment: Mapping[str, str]) -> None:
    """Raises ServerError when `host` is reachable from outside and no authentication is set."""
    try:
        outside = not ipaddress.ip_address(host).is_loopback
    except ValueError:
        outside = host != "localhost"
    if outside and not environment.get(SERVER_AUTH):
        raise ServerError(
            f"The Prefect server was asked to listen on {host}, beyond loopback, without "
            f"authentication: anybody there could run code. Set {SERVER_AUTH}=user:password (and "
            "PREFECT_API_AUTH_STRING for clients elsewhere), or stay on 127.0.0.1. Nothing "
            "was started."
        )


def start(settings: Settings, words: Sequence[str], seconds: float = 180) -> dict[str, object]:
    """Start the stack in the background and wait until it says that it is up.

    `words` are the arguments of the command that runs in the foreground. Raises ServerError when
    it already runs or does not come up in time.
    """
    path = state_path(settings)
    running = read_state(path)
    if running:
        raise ServerError(
            f"The stack is already up (process {running['pid']}): UI {running['ui']}, site "
            f"{running['site']}. Stop it with `newsvane down` first."
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
        state = read_state(path)
        if state:
            return state
        time.sleep(0.25)
    if process.poll() is None:
        process.terminate()
    words_said = log.read_text(encoding="utf-8", errors="replace").strip()[-600:]
    raise ServerError(f"The stack did not come up; it said: {words_said or 'nothing'} (see {log}).")


def stop(settings: Settings, seconds: float = 60) -> bool:
    """Stop the stack and wait until it is gone; False when none was running."""
    path = state_path(settings)
    state = read_state(path)
    if not state:
        path.unlink(missing_ok=True)
        return False
    pid = int(str(state["pid"]))
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    return True


def read_state(path: Path) -> dict[str, object] | None:
    """The running stack's state; None when there is none or its process has died."""
    try:
        state: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        return state if _alive(int(str(state["pid"]))) else None
    except (OSError, ValueError, KeyError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run_stack(
    settings: Settings, words: Sequence[str], *, host: str, port: int, site_port: int
) -> None:
    """Run server, worker, deployments, alarms and site until told to stop.

    Children end with this process; one that dies takes the stack down, so that nothing is half
    up without notice. `words` choose the configuration for the children.
    """
    check_exposure(host, os.environ)
    require_free(HOST, site_port)
    signal.signal(signal.SIGTERM, interrupt)
    path = state_path(settings)
    with (
        prefect_server(settings.data_root, port, host) as api_url,
        site_server(settings.data_root, HOST, site_port) as inbox,
    ):
        os.environ["PREFECT_API_URL"] = api_url  # read when Prefect is first imported, as here
        keep_alarms(settings.alarms, inbox)
        ours = [sys.executable, "-m", "flows.cli.main", *words, "serve"]
        worker = [sys.executable, "-m", "prefect", "worker", "start"]
        children = (ours, [*worker, "--pool", POOL, "--type", "process"])
        with _children(children) as processes:
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


@contextmanager
def _children(commands: Sequence[Sequence[str]]) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [subprocess.Popen(command) for command in commands]  # noqa: S603 - our own
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()
