"""`python -m sandbox`: serves by itself, stops on a signal, says why it cannot start."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import httpx

from tests.builders.command_line import run_to_its_end

COMMAND = [sys.executable, "-m", "sandbox", "--now", "2012-07-05T11:00"]


def test_command_serves_until_interrupted() -> None:
    with subprocess.Popen(
        [*COMMAND, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        # A runner in the background has its children ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        assert running.stdout is not None
        try:
            line = running.stdout.readline()
            assert "synthetic" in line
            feed = httpx.get(f"{line.split()[-1]}/rss/2.0/headline?s=IBM", timeout=120).text
            assert feed.count("<item>") == 20
            assert "2013" not in feed, "the frozen clock hides what comes later"
        finally:
            running.send_signal(signal.SIGINT)
        assert running.wait(120) == 0


def test_port_taken_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run_to_its_end([*COMMAND, "--port", port])
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr
