"""Keeps the processes of a stack running: watches each, starts it again, says so."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

State = Literal["waiting", "starting", "up", "down"]
Report = Callable[[str, State, str], None]
"""Is told of a part: its name, what it is now, and why."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
"""Seconds before a part that died is started again; doubled with each death."""
DOWN_AFTER = 3
"""Deaths, with no long health between them, after which a part is called down; it is tried on."""
WELL_AFTER = 600.0
"""Seconds after which an earlier death counts no more."""
ASK_EVERY = 15.0
"""Seconds between two questions to a part that is up."""
HUNG_AFTER = 90.0
"""Seconds without a good answer after which a part that lives is ended."""
START_SECONDS = 240.0
"""Seconds within which a part must do its work once it is started."""


@dataclass
class Part:
    """One process of the stack. `fault` says what is wrong with it, given when it was started.

    `needs` is the part that must be up before this one is started or asked. `log` takes what it
    says; without, it goes where this process writes.
    """

    name: str
    words: Sequence[str]
    environment: Mapping[str, str]
    fault: Callable[[datetime], str | None]
    needs: str | None = None
    log: Path | None = None
    started_again: Callable[[datetime], None] | None = None
    process: subprocess.Popen[bytes] | None = None
    state: State = "waiting"
    why: str = ""
    deaths: int = 0
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = 0.0
    asked: float = 0.0
    well: float = 0.0
    again_at: float = 0.0


class Supervisor:
    """Starts parts and keeps them up. Times are seconds of `clock`, which never goes back."""

    def __init__(
        self,
        parts: Sequence[Part],
        report: Report,
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.parts = {part.name: part for part in parts}
        self._report, self._changed, self._clock = report, changed, clock

    def tick(self) -> None:
        """Look at each part once, and start what is to be started. Takes seconds at most."""
        for part in self.parts.values():
            if part.process is None:
                self._start_if_due(part)
            elif (code := part.process.poll()) is not None:
                self._died(part, f"its process {part.process.pid} ended with {_ending(code)}")
            else:
                self._ask(part)

    def end(self, seconds: float = 20) -> None:
        """End all parts, the one that others need last."""
        for needed in (False, True):
            chosen = [part for part in self.parts.values() if (part.needs is None) is needed]
            for part in chosen:
                if part.process is not None:
                    part.process.terminate()
            deadline = self._clock() + seconds
            for part in chosen:
                if part.process is not None:
                    with suppress(subprocess.TimeoutExpired):
                        part.process.wait(timeout=max(0.1, deadline - self._clock()))
                    _kill(part)

    def _start_if_due(self, part: Part) -> None:
        needed = self.parts[part.needs] if part.needs else None
        if self._clock() < part.again_at or (needed and needed.state != "up"):
            return
        with _output(part.log, anew=part.deaths == 0) as out:
            part.process = subprocess.Popen(  # noqa: S603 - our own command
                part.words,
                env=dict(part.environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT if out else None,
            )
        part.since, part.began = datetime.now(UTC), self._clock()
        part.well, part.asked = part.began, part.began
        if part.state == "waiting":
            part.state = "starting"
        self._changed()

    def _ask(self, part: Part) -> None:
        now = self._clock()
        needed = self.parts[part.needs] if part.needs else None
        if needed and needed.state != "up":
            part.well = part.began = now  # it cannot be asked, and is not to blame
            return
        # One that others wait for is asked at once; one that is up only now and then.
        if part.state == "up" and now - part.asked < ASK_EVERY:
            return
        part.asked = now
        fault = part.fault(part.since)
        if fault is None:
            self._is_well(part)
        elif part.state == "up" and now - part.well > HUNG_AFTER:
            self._end_hung(part, f"{fault}, for {HUNG_AFTER:.0f} s")
        elif part.state != "up" and now - part.began > START_SECONDS:
            self._end_hung(part, f"{fault}, {START_SECONDS:.0f} s after its start")

    def _is_well(self, part: Part) -> None:
        now, before = self._clock(), part.state
        part.well = now
        if part.deaths and now - part.began > WELL_AFTER:
            part.deaths = 0
        if before == "up":
            return
        part.state, part.why = "up", ""
        if part.deaths:
            if part.started_again is not None:
                part.started_again(part.since)
            self._report(part.name, "up", "it was started again and does its work")
        self._changed()

    def _end_hung(self, part: Part, why: str) -> None:
        _kill(part)
        self._died(part, why)

    def _died(self, part: Part, why: str) -> None:
        part.process, part.why = None, why
        part.deaths += 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (part.deaths - 1))
        part.again_at = self._clock() + wait
        part.state = "down" if part.deaths >= DOWN_AFTER else "waiting"
        self._report(part.name, part.state, f"{why}; it is started again in {wait:.0f} s")
        self._changed()


@contextmanager
def _output(log: Path | None, *, anew: bool) -> Iterator[IO[bytes] | None]:
    if log is None:
        yield None
        return
    with log.open("wb" if anew else "ab") as file:
        yield file


def _kill(part: Part) -> None:
    if part.process is not None:
        part.process.kill()
        part.process.wait()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
