"""The Prefect server and what it serves: `newsvane ui`."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.platform.credentials import SERVER_AUTH, login_words
from flows.platform.environment import (
    CORS_ORIGINS,
    NO_ORIGIN,
    announce_server,
    prepare_prefect,
)
from flows.platform.interruption import end_in_own_time
from flows.platform.notifications import keep_alarms

if TYPE_CHECKING:
    from flows.settings import Settings

HOST = "127.0.0.1"
LOOPBACK = (HOST, "localhost")
START_SECONDS = 120


class ServerError(RuntimeError):
    """The Prefect server could not be started; the message says why and what to do."""


def serve_ui(settings: Settings, port: int) -> None:
    """Serve UI, deployments and alarms until interrupted.

    Raises ServerError when the port is taken, AlarmError for alarms that cannot be set up.
    """
    end_in_own_time()
    with prefect_server(settings.data_root, port) as api_url:
        os.environ["PREFECT_API_URL"] = api_url
        keep_alarms(settings.alarms)
        print(f"Prefect UI: http://{HOST}:{port}  (Ctrl-C stops it)", flush=True)
        print(login_words(settings.data_root, show=sys.stdout.isatty()), flush=True)
        serve_deployments(settings)


def serve_deployments(settings: Settings) -> None:
    """Register the deployments with the server in PREFECT_API_URL and run what is started."""
    end_in_own_time()
    prepare_prefect(settings.data_root)
    from prefect import serve

    from flows.platform.deployments import deployments

    # Paused, they would stay so when the next start is killed before it has served them again.
    serve(*deployments(settings), pause_on_shutdown=False, print_starting_message=False)


@contextmanager
def prefect_server(
    data_root: Path, port: int, host: str = HOST, names: Sequence[str] = ()
) -> Iterator[str]:
    """A Prefect server of our own; yields its API address and stops it at the end.

    It asks for DATA_ROOT's credentials, answers pages of its own origin alone, and only requests
    that call it by a loopback name, by `host` or by one of `names`. The port is bound once by us
    before the server starts and the server process must be alive when it first answers, so that a
    stranger on the same port is never taken for ours.
    """
    require_free(host, port)
    api_url, words, environment = server_command(data_root, port, host, names)
    log_path = server_log(data_root)
    with (
        log_path.open("wb") as log,
        children([words], stdout=log, stderr=subprocess.STDOUT, env=environment) as (server,),
    ):
        await_health(server, api_url, log_path)
        record = announce_server(data_root, api_url, server.pid)
        try:
            yield api_url
        finally:
            record.unlink(missing_ok=True)


def server_log(data_root: Path) -> Path:
    """Where the server of DATA_ROOT writes its log."""
    return (data_root / "prefect").resolve() / "server.log"


def server_command(
    data_root: Path, port: int, host: str, names: Sequence[str]
) -> tuple[str, list[str], dict[str, str]]:
    """The address of the server's API, the words that start it, and their environment."""
    prepare_prefect(data_root)
    api_url = f"http://{HOST}:{port}/api"
    environment = {**os.environ, "PREFECT_SERVER_UI_API_URL": api_url, "PREFECT_API_URL": api_url}
    known = list(dict.fromkeys((*LOOPBACK, host, *names)))
    if environment[CORS_ORIGINS] == NO_ORIGIN:
        environment[CORS_ORIGINS] = ",".join(_origin(name, port) for name in known)
    command = [sys.executable, "-m", "flows.platform.api_server", "--host", host]
    words = [*command, "--port", str(port), *(f"--name={name}" for name in known)]
    return api_url, words, environment


def _origin(name: str, port: int) -> str:
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


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


def await_health(
    server: subprocess.Popen[bytes], api_url: str, log_path: Path, seconds: float | None = None
) -> None:
    """Wait until a server that was started answers, by default for START_SECONDS.

    Raises ServerError when it stops or does not answer in time.
    """
    import httpx

    patience = START_SECONDS if seconds is None else seconds
    deadline = time.monotonic() + patience
    # One client: each would read the certificate store again, which costs more than asking.
    with httpx.Client(timeout=2) as client:
        while time.monotonic() < deadline:
            if server.poll() is not None:
                raise ServerError(
                    f"The Prefect server stopped with exit code {server.returncode} before it "
                    f"answered. Its last words are in {log_path}; correct that and run it again."
                )
            try:
                if client.get(f"{api_url}/health").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.25)
    raise ServerError(
        f"The Prefect server did not answer at {api_url} within {patience:g} s. "
        f"See {log_path} for what it was doing, and try again on a less busy machine."
    )


def check_exposure(host: str, environment: Mapping[str, str]) -> None:
    """Raises ServerError when `host` is reachable from outside and no authentication is set."""
    try:
        outside = not ipaddress.ip_address(host).is_loopback
    except ValueError:
        outside = host != "localhost"
    if outside and not environment.get(SERVER_AUTH):
        raise ServerError(
            f"The Prefect server was configured to listen on {host}, beyond loopback, without "
            f"authentication: anybody there could run code. Set {SERVER_AUTH}=user:password (and "
            "PREFECT_API_AUTH_STRING for clients elsewhere), or stay on 127.0.0.1. Nothing "
            "was started."
        )


@contextmanager
def children(
    commands: Sequence[Sequence[str]], **options: Any
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of ours that are gone when the block ends: asked to end, killed if they do not."""
    processes = [subprocess.Popen(command, **options) for command in commands]  # noqa: S603 - ours
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()
            process.wait()
