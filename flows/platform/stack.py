"""The whole stack, `newsvane up` and `down`: Prefect server, worker, deployments, alarms, site."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from flows.platform.environment import running
from flows.platform.processes import birth, end_stack, marked
from flows.platform.server import ServerError

if TYPE_CHECKING:
    from flows.settings import Settings

UP = "up"


def state_path(data_root: Path) -> Path:
    """Where the running stack is written down: its supervisor, addresses and parts."""
    return data_root / "stack.json"


def start(settings: Settings, words: Sequence[str], seconds: float = 600) -> dict[str, Any]:
    """Start the stack in the background and wait until all of it is up.

    `words` are the arguments of the command that runs in the foreground. Raises ServerError when
    it already runs or does not come up in time.
    """
    root = settings.data_root
    path = state_path(root)
    _refuse_second(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.with_name("stack.log")
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "flows.cli.main", *words],
            env=marked(root),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        state = running(path)
        if state and state.get("state") == UP:
            return state
        time.sleep(0.25)
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
    with contextlib.suppress(ServerError), only_one(root):
        end_stack(root)
    last_words = log.read_text(encoding="utf-8", errors="replace").strip()[-600:]
    raise ServerError(
        f"The stack did not come up; its last words: {last_words or 'nothing'} (see {log})."
    )


@contextlib.contextmanager
def only_one(data_root: Path) -> Iterator[None]:
    """While open, no other stack of this data root is started. Raises ServerError if one is."""
    _refuse_second(data_root)
    data_root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(data_root / "stack.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ServerError(
            f"Another `newsvane up` is starting a stack in {data_root}; expected none. Wait for "
            "it, or stop it with `newsvane down`; nothing was started."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _refuse_second(data_root: Path) -> None:
    up = running(state_path(data_root))
    if up:
        faults = [words for words in part_words(up) if not words.endswith(f" {UP}")]
        raise ServerError(
            f"The stack is already up (process {up['pid']}): UI {up['ui']}, site {up['site']}"
            f"{''.join(f'; {words}' for words in faults)}. Stop it with `newsvane down` first."
        )


def part_words(state: dict[str, Any]) -> list[str]:
    """Each part of a stack's record in words: its name, what it is, and why if it is not up."""
    return [
        f"{name}: {part['why']}; {part['state']}" if part["why"] else f"{name}: {part['state']}"
        for name, part in state.get("parts", {}).items()
    ]


def stop(settings: Settings, seconds: float = 90) -> tuple[bool, int]:
    """Stop the stack and wait until it is gone.

    Returns whether one was running, and how many processes were ended that a stack whose
    supervisor was killed, or did not end in time, had left.
    """
    root = settings.data_root
    path = state_path(root)
    state = running(path)
    if state:
        pid, deadline = int(state["pid"]), time.monotonic() + seconds
        born = birth(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
        while birth(pid) == born is not None and time.monotonic() < deadline:
            time.sleep(0.2)
        if birth(pid) == born is not None:
            os.kill(pid, signal.SIGKILL)
    left = end_stack(root)
    path.unlink(missing_ok=True)
    return state is not None, left
