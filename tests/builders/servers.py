"""A Prefect server for the tests of one worker, a small one for any, and free ports."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx
import pytest
from filelock import FileLock

GivePrefect = Callable[[Path], Path]


def free_ports(count: int = 1) -> list[int]:
    """Ports of loopback that nobody listens on, and that the kernel gives to no client meanwhile.

    Those that it gives out begin at 32768; a port of theirs may be taken before the server has it.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


@contextmanager
def answering(answer: Callable[[str], bytes | None], status: int = 200) -> Iterator[str]:
    """The address of a server on loopback that answers a path with these bytes, or 404 for None."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer(self.path)
            self.send_response(404 if body is None else status)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Relay(ThreadingHTTPServer):
    """Passes bytes on to another server of this machine; `away`, it takes no connection."""

    daemon_threads = True
    away = False

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self._target = target

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.away:
            return
        with suppress(OSError), socket.create_connection(self._target) as onward:
            back = threading.Thread(target=_pass_on, args=(onward, request), daemon=True)
            back.start()
            _pass_on(request, onward)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(65_536):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def relay_to(url: str) -> Iterator[Relay]:
    """A relay to the server at an address of loopback."""
    where = urlsplit(url)
    assert where.hostname
    assert where.port
    with Relay((where.hostname, where.port)) as relay:
        thread = threading.Thread(target=relay.serve_forever, daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()


@contextmanager
def asking(api_url: str, credentials: str) -> Iterator[httpx.Client]:
    """A client of a Prefect server, with USER:PASSWORD and the token that its changes need."""
    user, _, password = credentials.partition(":")
    with httpx.Client(base_url=api_url, auth=(user, password), timeout=30) as client:
        made = client.get("/csrf-token", params={"client": "tests"}).raise_for_status().json()
        client.headers["Prefect-Csrf-Client"] = "tests"
        client.headers["Prefect-Csrf-Token"] = made["token"]
        yield client


@pytest.fixture(scope="session")
def with_prefect(tmp_path_factory: pytest.TempPathFactory) -> GivePrefect:
    """Puts Prefect's empty database below a data root, whose server then finds its tables there.

    To make them takes a server longer than all else that it does in a test. Workers share one.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made = shared / "prefect-database"
    with FileLock(shared / "prefect-database.lock"):
        if not made.exists():
            unfinished = shared / "prefect-database-unfinished"
            subprocess.run(
                [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"],
                env={**os.environ, "PREFECT_HOME": str(unfinished)},
                check=True,
                capture_output=True,
            )
            unfinished.rename(made)

    def give(data_root: Path) -> Path:
        shutil.copytree(made, data_root / "prefect", dirs_exist_ok=True)
        return data_root

    return give


@pytest.fixture(scope="session")
def prefect_api(
    tmp_path_factory: pytest.TempPathFactory, with_prefect: GivePrefect
) -> Iterator[str]:
    """The address of a real Prefect server of this test session's own."""
    from flows.platform.server import prefect_server

    before = dict(os.environ)
    # What watches schedules and workers has nothing to do here, and asks its database all the time.
    for service in ("SCHEDULER", "LATE_RUNS", "FOREMAN", "REPOSSESSOR", "PAUSE_EXPIRATIONS"):
        os.environ[f"PREFECT_SERVER_SERVICES_{service}_ENABLED"] = "false"
    with (
        # However busy the machine is.
        patch("flows.platform.server.START_SECONDS", 900),
        prefect_server(with_prefect(tmp_path_factory.mktemp("served")), *free_ports()) as api_url,
    ):
        # The server has its settings; the tests' own processes must not inherit its home.
        credentials = os.environ["PREFECT_API_AUTH_STRING"]
        os.environ.clear()
        os.environ.update(before | {"PREFECT_API_AUTH_STRING": credentials})
        yield api_url
        os.environ.pop("PREFECT_API_AUTH_STRING", None)


@pytest.fixture(scope="module")
def prefect_runs(prefect_api: str) -> Iterator[str]:
    """Runs of this process and of its children are recorded by the test session's server."""
    import prefect.context
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    # Prefect reads the environment once, when it is imported; children read it anew.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_API_URL", prefect_api)
        chosen = {
            PREFECT_API_URL: prefect_api,
            PREFECT_API_AUTH_STRING: os.environ["PREFECT_API_AUTH_STRING"],
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
            # Its thread knows the settings of the import only, and would start a second server.
            PREFECT_LOGGING_TO_API_ENABLED: False,
        }
        with temporary_settings(chosen):
            # Threads without a context of their own would go by the import's settings, and start a
            # server each.
            current = prefect.context.get_settings_context()
            environment.setattr(prefect.context, "GLOBAL_SETTINGS_CONTEXT", current)
            yield prefect_api
