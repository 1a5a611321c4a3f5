"""Ctrl-C that is swallowed, that leaves a server, a child, a hidden cursor or a spoilt ledger."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.builders.command_line import REPOSITORY, command_of, run_to_its_end, without_prefect
from tests.builders.servers import GivePrefect, answering

pytestmark = pytest.mark.slow
SENTENCE = b"Interrupted. What was published stays; run the command again."
DAYS = ("2012-06-04", "2012-06-08")


def hearing() -> None:
    """Hear Ctrl-C, which a shell has what it runs in the background ignore, this suite included."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def controlled() -> None:
    """Make the standard input of a new session its controlling terminal, as a login does."""
    hearing()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def on_terminal(
    words: list[str], environment: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process on a terminal of its own, and the other end of that."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        words,
        cwd=REPOSITORY,
        env={**environment, "TERM": "xterm"},
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=controlled,
    ) as process:
        os.close(its)
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def read_until(terminal: int, found: Callable[[bytes], bool]) -> bytes:
    """What the terminal shows until that is found, or its program has closed it."""
    shown = b""
    with suppress(OSError):  # closed
        while not found(shown) and (more := os.read(terminal, 65536)):
            shown += more
    return shown


def test_ctrl_c_ends_a_backfill_that_waits_for_its_vendor(
    tmp_path: Path, with_prefect: GivePrefect
) -> None:
    root = with_prefect(tmp_path / "data")
    environment = {**without_prefect(), "NEWSVANE_DATA_ROOT": str(root)}
    with answering(lambda _: time.sleep(3600) or None) as silent:
        words = command_of("--set", f"sandbox.url={silent}", "backfill", *DAYS)
        with on_terminal(words, environment) as (process, terminal):
            shown = read_until(terminal, lambda text: b"prices" in text)
            time.sleep(3)  # well into the requests, wherever that is
            os.write(terminal, b"\x03")
            asked = time.monotonic()
            shown += read_until(terminal, lambda _: False)
            code = process.wait()
            took = time.monotonic() - asked
    assert code == 130, shown
    assert shown.count(SENTENCE) == 1, shown
    assert b"Traceback" not in shown
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l"), "the cursor stays hidden"
    assert took < 120, "3 s on a quiet machine; without the grace period some minutes"
    # Nothing is in the way of the next one.
    again = run_to_its_end(command_of("backfill", *DAYS), environment=environment)
    assert again.returncode == 0, again.stderr
    assert " 0 quarantined" in again.stdout


SWALLOWS = """
import subprocess, sys, time
from flows.platform import interruption
interruption.GRACE = {number: float(sys.argv[1]) for number in interruption.GRACE}
interruption.end_on_request()
sleeper = [sys.executable, "-c", "import time; time.sleep(3600)"]
child = subprocess.Popen(sleeper, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
ready = f"{child.pid}\\n"
while True:
    try:
        sys.stdout.write(ready)
        sys.stdout.flush()
        ready = ""
        time.sleep(3600)
    except KeyboardInterrupt:
        print("swallowed", flush=True)
"""


@pytest.mark.parametrize(("grace", "requests"), [("0.5", 1), ("3600", 2)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_library_that_swallows_the_interrupt_does_not_keep_the_command(
    grace: str, requests: int, number: signal.Signals
) -> None:
    """Within its grace period, or at the second request; what it had started ends too."""
    with subprocess.Popen(
        [sys.executable, "-c", SWALLOWS, grace],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hearing,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        child = int(process.stdout.readline())
        process.send_signal(number)
        assert process.stdout.readline() == "swallowed\n"
        if requests > 1:
            process.send_signal(number)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == SENTENCE.decode() + "\n"
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()
