"""What died unheard is told: a run started by hand, a worker, a part of the stack."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from flows.cli.doctor import examine
from flows.platform import watch as watching
from flows.platform.environment import running
from flows.platform.part_alarms import PartAlarms
from flows.platform.processes import birth
from flows.platform.recovery import crash_dead_runs, missed_of
from flows.platform.stack import state_path
from flows.settings import AlarmSpec, load_settings
from tests.builders.command_line import REPOSITORY, command_of
from tests.builders.servers import answering

pytestmark = pytest.mark.slow
BACKFILL = ("backfill", "2012-06-04", "2012-06-08")


@pytest.fixture
def client(prefect_runs: str) -> Iterator[Any]:
    from prefect.client.orchestration import get_client

    assert prefect_runs
    with get_client(sync_client=True) as opened:
        yield opened


def until(condition: Callable[[], Any], seconds: float = 600) -> Any:
    """What the condition gives once it gives anything; the limit is for what hangs."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.3)
    raise AssertionError(f"nothing came within {seconds} s")


def test_command_that_was_killed_is_crashed_and_one_that_lives_is_not(
    client: Any, tmp_path: Path
) -> None:
    def signed() -> dict[str, Any]:
        found = client.read_flow_runs(limit=200)
        return {
            run.infrastructure_pid.split("|")[1]: run
            for run in found
            if run.infrastructure_pid and run.state.is_running()
        }

    with answering(lambda _: time.sleep(3600) or None) as silent:
        processes = [
            subprocess.Popen(
                command_of(
                    "--set", f"sandbox.url={silent}", "backfill", "2012-06-04", "2012-06-08"
                ),
                cwd=REPOSITORY,
                env={**os.environ, "NEWSVANE_DATA_ROOT": str(tmp_path / name)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name in ("killed", "alive")
        ]
        try:
            killed, alive = (str(process.pid) for process in processes)
            runs = until(lambda: {killed, alive} <= set(found := signed()) and found)
            processes[0].kill()
            processes[0].wait()
            said = crash_dead_runs(client, (), datetime.now(UTC) + timedelta(seconds=1))
            assert runs[killed].name in said
            assert client.read_flow_run(runs[killed].id).state.is_crashed()
            assert client.read_flow_run(runs[alive].id).state.is_running()
        finally:
            for process in processes:
                process.send_signal(signal.SIGKILL)
                process.wait()


def test_of_runs_that_came_due_while_the_stack_was_down_the_latest_is_left() -> None:
    """They would all begin at once, and all but one end as cancelled."""
    from prefect.client.schemas.objects import FlowRun

    now, daily, weekly = datetime(2024, 5, 6, 12, tzinfo=UTC), uuid4(), uuid4()

    def waiting(deployment: UUID, hours: int, *, by_schedule: bool = True) -> FlowRun:
        due = now + timedelta(hours=hours)
        return FlowRun(
            flow_id=uuid4(), deployment_id=deployment, auto_scheduled=by_schedule,
            expected_start_time=due, name=f"{hours}",
        )  # fmt: skip

    runs = [waiting(daily, hours) for hours in (-1, -72, -25, 23)]
    runs += [waiting(daily, -48, by_schedule=False), waiting(weekly, -80)]
    assert sorted(run.name for run in missed_of(runs, now)) == ["-25", "-72"]
    assert missed_of([], now) == []


def test_watch_tells_of_a_lost_worker_once_and_of_its_return(client: Any, tmp_path: Path) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate

    from flows.platform.health import POOL

    inbox = tmp_path / "alarms.jsonl"
    alarms = PartAlarms(AlarmSpec(), inbox, "http://127.0.0.1:1")
    fault = watching._look(client, None, alarms, "")
    assert "has not asked for work" in fault
    assert watching._look(client, None, alarms, fault)
    assert len(inbox.read_text().splitlines()) == 1
    client.create_work_pool(WorkPoolCreate(name=POOL, type="process"), overwrite=True)
    body = {"work_queue_names": ["default"]}
    path = {"name": POOL}
    client.request(
        "POST", "/work_pools/{name}/get_scheduled_flow_runs", path_params=path, json=body
    )
    assert until(lambda: watching._look(client, None, alarms, fault) == "")
    assert [line.count('"up"') for line in inbox.read_text().splitlines()][:2] == [0, 1]


def test_doctor_says_which_part_of_the_stack_is_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NEWSVANE_DATA_ROOT", str(tmp_path))
    settings = load_settings(REPOSITORY / "newsvane.toml")
    parts = {
        "server": {"state": "up", "why": ""},
        "worker": {"state": "down", "why": "its process 7 ended with exit code 3"},
    }
    record = {"pid": os.getpid(), "born": birth(os.getpid()), "state": "up", "parts": parts}
    state_path(tmp_path).write_text(json.dumps(record))
    assert running(state_path(tmp_path))
    rows = {row.what: row for row in examine(settings) if row.what.startswith("stack: ")}
    assert {what: row.healthy for what, row in rows.items()} == {
        "stack: server": True,
        "stack: worker": False,
    }
    assert "exit code 3" in rows["stack: worker"].found
    assert "stack.log" in rows["stack: worker"].remedy
