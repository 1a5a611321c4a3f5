"""The server of a single command: no page drives it, and it neither outlives nor delays its end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders.command_line import REPOSITORY, WIDTH, command_of, without_prefect
from tests.builders.servers import GivePrefect, answering

pytestmark = pytest.mark.slow


def until(condition: Callable[[], Any], seconds: float = 600) -> Any:
    """What the condition gives once it gives anything; the limit is for what hangs."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if found := condition():
                return found
        time.sleep(0.2)
    raise AssertionError(f"nothing came within {seconds} s")


def server_of(root: Path) -> tuple[int, int] | None:
    """Process and port of the server that a command of this data root has started."""
    mark = f"NEWSVANE_DATA_ROOT={root}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if mark in (folder / "environ").read_bytes().split(b"\0") and b"--port" in words:
                return int(folder.name), int(words[words.index(b"--port") + 1])
    return None


@pytest.fixture
def command(tmp_path: Path, with_prefect: GivePrefect) -> Iterator[subprocess.Popen[str]]:
    """A backfill under way that knows no server: its vendor does not answer."""
    root = with_prefect(tmp_path / "data")
    with answering(lambda _: time.sleep(3600) or None) as silent:
        words = ("--set", f"sandbox.url={silent}", "backfill", "2012-06-04", "2012-06-08")
        with subprocess.Popen(
            command_of(*words),
            cwd=REPOSITORY,
            env={**without_prefect(), "NEWSVANE_DATA_ROOT": str(root), "COLUMNS": str(WIDTH)},
            text=True,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def test_server_of_a_command_knows_its_names_and_the_command_ends_at_once_with_it(
    command: subprocess.Popen[str], tmp_path: Path
) -> None:
    root = tmp_path / "data"
    server, port = until(lambda: server_of(root))
    api = f"http://127.0.0.1:{port}/api"
    until(lambda: httpx.get(f"{api}/health").is_success)
    for name, status in (("evil.example", 400), (f"localhost:{port}", 200)):
        assert httpx.get(f"{api}/health", headers={"Host": name}).status_code == status
    user, _, password = (root / "prefect" / "credentials").read_text().strip().partition(":")

    def running() -> bool:
        token = httpx.get(f"{api}/csrf-token?client=t", auth=(user, password)).json()["token"]
        headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "t"}
        asked = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
        answer = httpx.post(
            f"{api}/flow_runs/filter", json=asked, headers=headers, auth=(user, password)
        )
        return answer.is_success and bool(answer.json())

    until(running)
    # As a service manager ends a command: all of its processes at once.
    for pid in (server, command.pid):
        os.kill(pid, signal.SIGTERM)
    said = command.communicate(timeout=60)[1]
    assert command.returncode == 130, said
    assert said.rstrip().endswith("Interrupted. What was published stays; run the command again.")
    assert "Traceback" not in said
    until(lambda: not Path(f"/proc/{server}").exists(), 60)


def test_server_of_a_killed_command_ends_too(
    command: subprocess.Popen[str], tmp_path: Path
) -> None:
    server, port = until(lambda: server_of(tmp_path / "data"))
    until(lambda: httpx.get(f"http://127.0.0.1:{port}/api/health").is_success)
    command.kill()
    until(lambda: not Path(f"/proc/{server}").exists(), 60)
