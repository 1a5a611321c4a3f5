"""`newsvane ui`: a Prefect server on loopback with the deployments served beside it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flows.platform.environment import announce_server, prepare_prefect
from flows.platform.notifications import keep_alarms

if TYPE_CHECKING:
    from flows.settings import Settings

HOST = "127.0.0.1"
START_SECONDS = 120


class ServerError(RuntimeError):
    """The Prefect server could not be started; the message says why and what to do."""


def serve_ui(settings: Settings, port: int) -> None:
    """Serve UI, deployments and alarms until interrupted.

    Raises ServerError when the port is taken, AlarmError for alarms that cannot be set up.
    """
    signal.signal(signal.SIGTERM, interrupt)
    with prefect_server(settings.data_root, port) as api_url:
        os.environ["PREFECT_API_URL"] = api_url
        keep_alarms(settings.alarms)
        print(f"Prefect UI: http://{HOST}:{port}  (Ctrl-C stops it)", flush=True)
        serve_deployments(settings)


def interrupt(*_: object) -> None:
    """A signal handler: end as Ctrl-C does, so that what was started is stopped again."""
    raise KeyboardInterrupt


def serve_deployments(settings: Settings) -> None:
    """Register the deployments with the server in PREFECT_API_URL and run what is started."""
    prepare_prefect(settings.data_root)
    from prefect import serve

    from flows.platform.deployments import deployments

    serve(*deployments(settings), print_starting_message=False)


@contextmanager
def prefect_server(data_root: Path, port: int, host: str = HOST) -> Iterator[str]:
    """A Prefect server of our own; yields its API address and stops it at the end.

    The port is bound once by us before the server starts and the server process must be alive
    when it first answers, so that a stranger on the same port is never taken for ours.
    """
    require_free(host, port)
    prepare_prefect(data_root)
    api_url = f"http://{HOST}:{port}/api"
    log_path = (data_root / "prefect").resolve() / "server.log"
    environment = {**os.environ, "PREFECT_SERVER_UI_API_URL": api_url, "PREFECT_API_URL": api_url}
    command = [sys.executable, "-m", "prefect", "server", "start"]
    with log_path.open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - fixed words and a checked number
            [*command, "--host", host, "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    record: Path | None = None
    try:
        _await_health(server, api_url, log_path)
        record = announce_server(data_root, api_url, server.pid)
        yield api_url
    finally:
        if record is not None:
            record.unlink(missing_ok=True)
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def require_free(host: str, port: int) -> None:
    """Raises ServerError when something already listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServerError(
                f"Port {port} on {host} is taken ({error.strerror}); expected a free port for the "
                "server. Stop whatever listens there, or choose another: newsvane ui "
                f"--port {port + 1 if port < 65535 else port - 1}. Nothing was started."
            ) from error


def _await_health(server: subprocess.Popen[bytes], api_url: str, log_path: Path) -> None:
    import httpx

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ServerError(
                f"The Prefect server stopped with exit code {server.returncode} before it "
                f"answered. Its last words are in {log_path}; correct that and run it again."
            )
        try:
            if httpx.get(f"{api_url}/health", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    raise ServerError(
        f"The Prefect server did not answer at {api_url} within {START_SECONDS} s. "
        f"See {log_path} for what it was doing, and try again on a less busy machine."
    )
