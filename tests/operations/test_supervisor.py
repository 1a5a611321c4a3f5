"""Hazard of a supervisor: a part that dies for good is never called down, or hangs unnoticed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from flows.platform import supervisor
from flows.platform.processes import MARK, RUN_ID, birth, end_stack, of_stack, runs_of_stack
from flows.platform.service_manager import ALIVE, READY, tell_service_manager
from flows.platform.supervisor import Part, Supervisor

SLEEP = ["sleep", "600"]
Told = list[tuple[str, str, str]]


def part(name: str, words: list[str], fault: Callable[[], str | None], needs: str = "") -> Part:
    def asked(_: datetime) -> str | None:
        return fault()

    return Part(name, words, dict(os.environ), asked, needs=needs or None)


def watched(*parts: Part) -> tuple[Supervisor, Told, list[float]]:
    """A supervisor of real processes whose clock only moves by hand."""
    told: Told = []
    now = [0.0]
    made = Supervisor(parts, lambda *words: told.append(words), clock=lambda: now[0])
    return made, told, now


def until_dead(chosen: Part) -> None:
    assert chosen.process is not None
    os.waitid(os.P_PID, chosen.process.pid, os.WEXITED | os.WNOWAIT)


def test_part_that_dies_again_and_again_waits_longer_and_is_called_down() -> None:
    dying = part("worker", ["sh", "-c", "exit 3"], lambda: "no answer")
    made, told, now = watched(dying)
    for _ in range(6):
        now[0] = dying.again_at
        made.tick()
        until_dead(dying)
        made.tick()
    assert [state for _, state, _ in told] == ["waiting", "waiting", *["down"] * 4]
    assert dying.state == "down"
    assert "exit code 3" in dying.why
    assert dying.again_at - now[0] == 32
    for _ in range(9):
        now[0] = dying.again_at
        made.tick()
        until_dead(dying)
        made.tick()
    assert dying.again_at - now[0] == supervisor.LONGEST_WAIT


def test_part_that_lives_and_answers_no_more_is_started_anew() -> None:
    faults: list[str | None] = [None]
    hung = part("server", SLEEP, lambda: faults[0])
    made, told, now = watched(hung)
    made.tick()
    made.tick()
    assert hung.state == "up"
    assert hung.process is not None
    first = hung.process
    first.send_signal(signal.SIGSTOP)
    faults[0] = "it does not answer"
    for now[0] in (20, 40, 60, 80, 100):
        made.tick()
    assert first.returncode == -signal.SIGKILL
    assert told == [("server", "waiting", told[0][2])]
    assert told[0][2].startswith("it does not answer, for 90 s")
    faults[0], now[0] = None, now[0] + 1
    made.tick()
    made.tick()
    assert told[1][:2] == ("server", "up")
    made.end()


def test_part_is_not_blamed_while_the_one_that_it_needs_is_away() -> None:
    fault: list[str | None] = [None]
    server = part("server", SLEEP, lambda: fault[0])
    worker = part("worker", SLEEP, lambda: pytest.fail("asked") if fault[0] else None, "server")
    made, told, now = watched(server, worker)
    made.tick()
    assert worker.process is None  # nothing is there to ask yet
    for _ in range(3):
        made.tick()
    assert (server.state, worker.state) == ("up", "up")
    fault[0] = "it does not answer"
    assert server.process is not None
    server.process.kill()
    until_dead(server)
    made.tick()
    for now[0] in range(1, 200, 20):
        made.tick()
    assert {name for name, _, _ in told} == {"server"}
    assert worker.deaths == 0
    made.end()
    assert worker.process is not None
    assert worker.process.returncode == -signal.SIGTERM


def test_orphan_in_a_session_of_its_own_is_found_by_its_stack_and_by_no_other(
    tmp_path: Path,
) -> None:
    env = {**os.environ, MARK: str(tmp_path), RUN_ID: "a-run"}
    orphan = "s.Popen(['sleep', '600'], start_new_session=True, stdout=s.DEVNULL)"
    parent = [sys.executable, "-c", f"import subprocess as s; print({orphan}.pid)"]
    pid = int(subprocess.run(parent, env=env, check=True, stdout=subprocess.PIPE).stdout)
    while of_stack(tmp_path) != [pid]:  # its environment is seen when it has begun
        time.sleep(0.05)
    assert runs_of_stack(tmp_path) == {"a-run"}
    assert of_stack(tmp_path / "another") == []
    os.kill(pid, signal.SIGSTOP)
    assert end_stack(tmp_path) == 1
    assert birth(pid) is None


def test_births_tell_processes_of_one_number_apart() -> None:
    with subprocess.Popen(SLEEP) as one:
        time.sleep(0.05)
        with subprocess.Popen(SLEEP) as other:
            assert birth(one.pid) == birth(one.pid)
            assert birth(one.pid) != birth(other.pid)
            other.kill()
        one.kill()
    assert birth(one.pid) is None


def test_service_manager_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        tell_service_manager(READY)  # nobody asked
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        tell_service_manager(READY, ALIVE)
        manager.settimeout(5)
        assert manager.recv(100) == b"READY=1\nWATCHDOG=1"
    tell_service_manager(ALIVE)  # it is gone, and that is no error
