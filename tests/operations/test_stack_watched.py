"""A stack whose parts are killed: each comes back, is told of, and leaves no run or slot behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders.command_line import (
    REPOSITORY,
    Answer,
    command_of,
    run_to_its_end,
    without_prefect,
)
from tests.builders.servers import GivePrefect, asking, free_ports

pytestmark = pytest.mark.slow

QUICKLY = {
    "PREFECT_RUNNER_POLL_FREQUENCY": "2",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
}
"""Less waiting; a run is late before any runner can ask for it."""


def until(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """What the condition gives once it gives anything; the limit is for what hangs."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if found := condition():
                return found
        time.sleep(0.3)
    raise AssertionError(f"nothing came within {seconds} s")


@dataclass
class Stack:
    """A stack of its own, by its commands alone."""

    root: Path
    port: int
    site: int

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def credentials(self) -> str:
        return (self.root / "prefect" / "credentials").read_text().strip()

    @property
    def record(self) -> dict[str, Any]:
        return dict(json.loads((self.root / "stack.json").read_text()))

    def ask(self, path: str, body: object) -> Any:
        """What the server answers to a POST, once its database is free to answer at all."""
        with asking(self.api, self.credentials) as server:

            def answered() -> httpx.Response | None:
                answer = server.post(path, json=body)
                busy = (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.INTERNAL_SERVER_ERROR)
                return None if answer.status_code in busy else answer

            return until(answered).raise_for_status().json()

    def command(self, *words: str) -> Answer:
        own = {**without_prefect(), "NEWSVANE_DATA_ROOT": str(self.root), **QUICKLY}
        return run_to_its_end(command_of(*words), environment=own)

    def up(self) -> None:
        up = self.command("up", "--port", str(self.port), "--site-port", str(self.site))
        assert up.returncode == 0, up.stderr

    def processes(self) -> set[int]:
        """All that this stack has started, however far removed: they share its data root."""
        mark, found = f"NEWSVANE_DATA_ROOT={self.root}".encode(), set()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
        return found

    def alarms(self) -> list[dict[str, str]]:
        path = self.root / "alarms.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def told(self, flow: str, state: str, run: str = "") -> list[dict[str, str]]:
        return [
            alarm
            for alarm in self.alarms()
            if alarm["flow"] == flow and alarm["state"] == state and run in alarm["run"]
        ]

    def start(self, deployment: str, **parameters: object) -> dict[str, Any]:
        listed = self.ask("/deployments/filter", {})
        (chosen,) = (entry["id"] for entry in listed if entry["name"] == deployment)
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return dict(self.ask(f"/deployments/{chosen}/create_flow_run", asked))

    def state(self, run: dict[str, Any]) -> str:
        with asking(self.api, self.credentials) as server:
            return str(server.get(f"/flow_runs/{run['id']}").json()["state"]["name"])

    def reaches(self, run: dict[str, Any], *states: str) -> None:
        seen = until(lambda: (now := self.state(run)) in {*states, "Failed", "Cancelled"} and now)
        assert seen in states, seen


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, with_prefect: GivePrefect) -> Iterator[Stack]:
    """A stack that is up; what is left of it at the end is killed."""
    made = Stack(with_prefect(tmp_path_factory.mktemp("watched")), *free_ports(2))
    try:
        made.up()
        yield made
    finally:
        for pid in made.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_up_says_so_only_when_all_its_parts_do_their_work(stack: Stack) -> None:
    declared = (REPOSITORY / "prefect.yaml").read_text("utf-8").count("\n  - name: ")
    listed = stack.ask("/deployments/filter", {})
    with asking(stack.api, stack.credentials) as server:
        queue = server.get("/work_pools/newsvane/queues/default").json()
    assert len(listed) > declared  # and the whole job, which is in no pool
    assert all(entry["last_polled"] for entry in listed)
    assert queue["last_polled"]
    parts = {name: part["state"] for name, part in stack.record["parts"].items()}
    assert parts == dict.fromkeys(("server", "deployments", "worker", "site"), "up")


def test_run_that_nobody_fetches_in_time_and_run_without_a_slot_are_told(stack: Stack) -> None:
    runner = stack.record["parts"]["deployments"]["pid"]
    os.kill(runner, signal.SIGSTOP)
    for _ in range(2):
        stack.start("daily")
    assert until(lambda: stack.told("daily", "Late"), 60)
    os.kill(runner, signal.SIGCONT)
    assert "concurrency limit" in until(lambda: stack.told("daily", "Cancelled"), 60)[0]["message"]


def test_after_a_power_cut_the_dead_run_is_told_and_the_next_one_runs(stack: Stack) -> None:
    def running() -> list[dict[str, Any]]:
        asked = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
        return [run for run in stack.ask("/flow_runs/filter", asked) if run["deployment_id"]]

    if not running():
        stack.start("daily")
    (run,) = until(running)
    killed = stack.processes()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    stack.up()
    assert stack.state(run) == "Crashed"
    assert until(lambda: stack.told("daily", "Crashed", run["name"]))
    stack.reaches(stack.start("daily"), "Running", "Completed", "Incomplete")


@pytest.mark.parametrize("name", ["server", "site", "deployments", "worker"])
def test_part_that_dies_comes_back_and_is_told(stack: Stack, name: str) -> None:
    before = stack.record["parts"][name]["pid"]
    os.kill(before, signal.SIGKILL)
    assert "SIGKILL" in until(lambda: stack.told("stack", "waiting", name))[0]["message"]
    assert until(lambda: stack.told("stack", "up", name))
    assert stack.record["parts"][name]["pid"] != before
    assert stack.ask("/deployments/filter", {})


def test_daily_that_does_not_begin_is_told(stack: Stack) -> None:
    said = run_to_its_end(
        [sys.executable, "-c", MISSING_DAILY],
        environment={
            **without_prefect(),
            "PREFECT_API_URL": stack.api,
            "PREFECT_API_AUTH_STRING": stack.credentials,
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
        },
    )
    assert said.returncode == 0, said.stderr
    alarm = json.loads(said.stdout.splitlines()[-1])
    assert (alarm["flow"], alarm["state"]) == ("daily", "Missing")
    assert "No daily run began within" in alarm["message"]


MISSING_DAILY = """
import http.server, json, threading
from datetime import UTC, datetime, timedelta
from flows.platform.daily_watch import DailyWatch, due_at
from flows.platform.notifications import keep_alarms
from flows.settings import AlarmSpec
from prefect.client.orchestration import get_client

heard, came = [], threading.Event()

class Inbox(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        came.set()
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
threading.Thread(target=server.serve_forever, daemon=True).start()
spec = AlarmSpec(webhook=f"http://127.0.0.1:{server.server_port}/")
keep_alarms(spec, grace=timedelta(seconds=10))
day = datetime.now(UTC).date() + timedelta(days=1)
while due_at("XNYS", day) is None:
    assert not DailyWatch("XNYS").tell(None, datetime(day.year, day.month, day.day, 20, tzinfo=UTC))
    day += timedelta(days=1)
watch, due = DailyWatch("XNYS"), due_at("XNYS", day)
with get_client(sync_client=True) as client:
    assert not watch.tell(lambda: client, due - timedelta(seconds=1))
    assert watch.tell(lambda: client, due)
    assert not watch.tell(lambda: client, due + timedelta(minutes=1))
assert came.wait(200), "no alarm"
print(json.dumps(heard[0]))
"""


def test_killed_supervisor_leaves_nothing_that_up_and_down_do_not_know(stack: Stack) -> None:
    os.kill(stack.record["pid"], signal.SIGKILL)
    left = until(stack.processes)
    assert len(left) >= 3
    stack.up()
    assert not left & stack.processes()
    os.kill(stack.record["pid"], signal.SIGKILL)
    (stack.root / "stack.json").unlink()
    down = stack.command("down")
    assert "that a killed stack had left" in down.stdout, down.stdout + down.stderr
    assert not stack.processes()
    assert "Nothing was up" in stack.command("down").stdout


def test_number_of_a_dead_supervisor_that_a_stranger_has_now_is_not_taken_for_it(
    stack: Stack,
) -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        record = {
            "pid": stranger.pid,
            "born": "another boot:1",
            "ui": "",
            "site": "",
            "state": "up",
        }
        (stack.root / "stack.json").write_text(json.dumps(record))
        assert "Nothing was up" in stack.command("down").stdout
        assert stranger.poll() is None
        stranger.kill()
