"""Work in forked children, so that a test can run several at once, and kill one at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Child:
    """Work that runs in a process group of its own."""

    forks: Forks
    pid: int
    log: Path

    def wait(self) -> None:
        """Wait for the end and insist on success."""
        assert self.forks.ask(f"wait {self.pid}") == 0, self.log.read_text()

    def ended(self) -> bool:
        """Whether the work has ended by itself."""
        return bool(self.forks.ask(f"ended {self.pid}"))

    def kill(self) -> bool:
        """SIGKILL for the whole process group; False when the work had already ended."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self.forks.ask(f"wait {self.pid}") == signal.SIGKILL


@dataclass(frozen=True)
class Forks:
    """The process that forks a child for each call of its work."""

    process: subprocess.Popen[str]

    def run(self, root: Path, *words: object) -> Child:
        """Begin the work with JSON's `words`; what it prints goes to a file beside `root`."""
        log = root.with_name(f"{root.name}.log")
        return Child(self, self.ask(json.dumps([str(log), *words], default=str)), log)

    def ask(self, line: str) -> int:
        """The number that answers one line."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(line, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())


@contextmanager
def forks_of(script: str, *words: str, **environment: str) -> Iterator[Forks]:
    """Run a script that calls `serve`: importing everything takes seconds, forking does not."""
    with subprocess.Popen(
        [sys.executable, script, *words],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Forks(process)


def serve(work: Callable[..., object]) -> None:
    """Answer lines of standard input with a number each, until it ends.

    A JSON line [LOG, WORDS...] forks a child that does `work(*WORDS)`: its pid. "wait PID" waits
    for that child: its exit status. "ended PID" does not wait: 1 if it has ended and 0 if not.
    """
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "wait":
            answer = os.waitpid(int(words[0]), 0)[1]
        elif verb == "ended":
            asked = os.WEXITED | os.WNOHANG | os.WNOWAIT
            answer = int(os.waitid(os.P_PID, int(words[0]), asked) is not None)
        elif answer := os.fork():
            os.setpgid(answer, answer)  # by whoever comes first
        else:
            os.setpgid(0, 0)
            os._exit(_logged(work, *json.loads(line)))
        print(answer, flush=True)


def _logged(work: Callable[..., object], log: str, *words: object) -> int:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        work(*words)
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.stderr.flush()
    return 0
