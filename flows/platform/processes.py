"""Which processes are a stack's: told from strangers by their birth, found by a mark they inherit.

A number alone names no process: after a restart of the machine or of a container it is another's.
And whoever was started by a killed process has no parent left that could tell of it.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

MARK = "NEWSVANE_STACK"
"""In the environment of all that a stack starts, and of what that starts: the data root."""
RUN_ID = "PREFECT__FLOW_RUN_ID"
"""In the environment of a run's process, set by Prefect: which run it is."""
_PROC = Path("/proc")
_BOOT = _PROC / "sys/kernel/random/boot_id"
_START_TICKS = 19
"""The place of the start time in /proc/PID/stat, counted from after the program's name."""


def birth(pid: int) -> str | None:
    """What tells this process from others of its number; None when it is gone or a zombie.

    Where there is no /proc, all that live are the same.
    """
    if not _BOOT.exists():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, 0)
            return "alive"
        return None
    with suppress(OSError):
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        state, *others = fields.rpartition(")")[2].split()
        if state not in {"Z", "X"}:
            boot = _BOOT.read_text(encoding="ascii").strip()
            return f"{boot}:{others[_START_TICKS - 1]}"
    return None


def signature() -> str:
    """This machine and process, as a run that somebody started by hand bears them."""
    return f"{socket.gethostname()}|{os.getpid()}|{birth(os.getpid())}"


def has_ended(signed: str) -> bool:
    """Whether a process that signed so was of this machine, and is gone."""
    host, _, process = signed.partition("|")
    number, _, born = process.partition("|")
    return host == socket.gethostname() and number.isdigit() and birth(int(number)) != born


def marked(data_root: Path) -> dict[str, str]:
    """This process's environment with the mark of DATA_ROOT's stack, for what it starts."""
    return {**os.environ, MARK: str(data_root.resolve())}


def of_stack(data_root: Path) -> list[int]:
    """The living processes that a stack of DATA_ROOT started, without this one and its parents."""
    mark = f"{MARK}={data_root.resolve()}".encode()
    own = set(_ancestors())
    return [pid for pid, variables in _environments() if mark in variables and pid not in own]


def runs_of_stack(data_root: Path) -> set[str]:
    """The ids of the flow runs whose processes live and were started by DATA_ROOT's stack."""
    mark, name = f"{MARK}={data_root.resolve()}".encode(), f"{RUN_ID}=".encode()
    return {
        variable.removeprefix(name).decode("ascii", "replace")
        for _, variables in _environments()
        if mark in variables
        for variable in variables
        if variable.startswith(name)
    }


def end(pids: Iterable[int], seconds: float = 20) -> int:
    """Ask processes to end, kill after `seconds` who did not; returns how many there were."""
    known = {pid: born for pid in pids if (born := birth(pid)) is not None}
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in _still(known):
            with suppress(ProcessLookupError):
                os.kill(pid, how)
                os.kill(pid, signal.SIGCONT)  # a stopped one would not hear of it
        deadline = time.monotonic() + seconds
        while _still(known) and time.monotonic() < deadline:
            time.sleep(0.1)
    return len(known)


def end_stack(data_root: Path, seconds: float = 20) -> int:
    """End all that a stack of DATA_ROOT started, as `end` does; returns how many there were."""
    total = 0
    for pause in (0.0, 0.2, 0.5):  # one that is being started shows its environment a bit later
        time.sleep(pause)
        while found := of_stack(data_root):
            total += end(found, seconds)
    return total


def _still(known: dict[int, str]) -> list[int]:
    return [pid for pid, born in known.items() if birth(pid) == born]


def _environments() -> Iterator[tuple[int, set[bytes]]]:
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile, or somebody else's
            variables = set((folder / "environ").read_bytes().split(b"\0"))
            if birth(int(folder.name)) is not None:
                yield int(folder.name), variables


def started_by(pid: int) -> list[int]:
    """The processes whose parent this is; none where there is no /proc."""
    found = (int(folder.name) for folder in _PROC.glob("[0-9]*"))
    return [child for child in found if _parent(child) == pid]


def _ancestors() -> Iterator[int]:
    pid: int | None = os.getpid()
    while pid:
        yield pid
        pid = _parent(pid)


def _parent(pid: int) -> int | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])
