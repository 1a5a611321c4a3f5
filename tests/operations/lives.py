"""A data root that lives day by day under a moved clock, its jobs in processes that may be killed.

`python tests/operations/lives.py` serves the jobs: it imports everything once and forks for each.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.faults import Fault, FaultPlan
from sandbox.market import Market, bokeh_market
from sandbox.messages import Answer, Request
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tests.builders.forks import Child, Forks, forks_of, serve
from tests.builders.servers import free_ports

Spoil = Callable[[Request, Answer], Answer]
TICK = os.sysconf("SC_CLK_TCK")
SHORT = (
    "history.prices_start=2011-12-01",
    "history.headlines_start=2012-01-03",
    "dataset.split.start=2012-01-03",
    'training.recipe="sandbox-newswire"',
    # Nobody's time is saved by waiting for a vendor that stands beside us.
    'http.prices.retry={attempts=2, first_wait="PT0.05S", longest_wait="PT0.2S"}',
    'http.feeds.retry={attempts=2, first_wait="PT0.05S", longest_wait="PT0.2S"}',
)


@dataclass(frozen=True)
class Circumstances:
    """What surrounds one run: variables (None: unset), umask, the largest file it may write."""

    variables: Mapping[str, str | None] = field(default_factory=dict)
    umask: int | None = None
    largest_file: int | None = None

    def words(self) -> list[Any]:
        """As JSON can carry them to the process that runs the job."""
        return [dict(self.variables), self.umask, self.largest_file]


AS_USUAL = Circumstances()


class PrefectServer:
    """A real Prefect server in a process group of its own, which may die and is started again."""

    def __init__(self, home: Path) -> None:
        from flows.platform.server import HOST, server_command

        (self.port,) = free_ports()
        self._log = home.with_name(f"{home.name}.log").open("ab")
        self.url, self._words, self._environment = server_command(home, self.port, HOST, ())
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        from flows.platform.server import await_health

        self._process = subprocess.Popen(
            self._words,
            env=self._environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # However busy the machine is.
        await_health(self._process, self.url, Path(self._log.name), seconds=900)

    def die(self) -> None:
        """SIGKILL for the whole group."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class _Vendor(SandboxVendor):
    """The vendor at one moment; `spoil` may change an answer on its way."""

    def __init__(
        self, market: Market, at: datetime, faults: tuple[Fault, ...], spoil: Spoil | None
    ) -> None:
        news = NewsSpec(mode="planted", strength=0.8, coverage=0.6, seed=20130301)
        super().__init__(market, news, now=lambda: at, faults=FaultPlan.of(*faults))
        self._spoil = spoil

    def answer(self, request: Request) -> Answer:
        made = super().answer(request)
        return made if self._spoil is None else self._spoil(request, made)


@dataclass
class Life:
    """One data root, its vendor's clock, and the processes that work on it."""

    root: Path
    market: Market
    forks: Forks
    server: PrefectServer
    longest: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each job's last run that was not killed."""
    lasting: tuple[Fault, ...] = ()
    """What the vendors do wrong in every run from now on."""
    kills: int = 0
    runs: int = 0

    def attempt(
        self,
        job: str,
        at: datetime,
        *words: object,
        faults: tuple[Fault, ...] = (),
        spoil: Spoil | None = None,
        circumstances: Circumstances = AS_USUAL,
    ) -> Attempt:
        """Begin a job at a moment, with a vendor of its own beside it."""
        self.runs += 1
        vendor = _Vendor(self.market, at, (*self.lasting, *faults), spoil)
        return Attempt(self, job, at, words, vendor, circumstances)

    def completed(self, job: str, at: datetime, *words: object) -> None:
        """Run a job to its end and insist on success."""
        with self.attempt(job, at, *words) as attempt:
            attempt.finished()


@dataclass
class Attempt:
    """One run of a job: begun by `with`, gone at the block's end."""

    life: Life
    job: str
    at: datetime
    words: tuple[object, ...]
    vendor: SandboxVendor
    circumstances: Circumstances
    _stack: ExitStack = field(default_factory=ExitStack)
    _child: Child | None = None
    _over: bool = False

    def __enter__(self) -> Attempt:
        vendor = self._stack.enter_context(self.vendor)
        self._child = self.life.forks.run(
            self.life.root, self.job, self.life.root, self.at.isoformat(), vendor.base_url,
            self.circumstances.words(), *self.words,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child is not None
        if not self._over:
            self._child.kill()
        self._stack.close()

    def finished(self) -> None:
        """Wait for the end, and insist on success."""
        assert self.ended_well(), self.log()

    def ended_well(self) -> bool:
        """Wait for the end; whether it was without an error."""
        assert self._child is not None
        while not self._child.ended():
            time.sleep(0.05)
        self.life.longest[self.job] = _cpu_seconds(self._child.pid)
        self._over = True
        return self.life.forks.ask(f"wait {self._child.pid}") == 0

    def work_until(self, share: float) -> bool:
        """Let it work for a share of the CPU time that its job takes; False if it ended first.

        CPU time, so that what is interrupted depends on no machine's load.
        """
        assert self._child is not None
        wanted = share * self.life.longest.get(self.job, 0.0)
        while not self._child.ended():
            if _cpu_seconds(self._child.pid) >= wanted:
                return True
            time.sleep(0.05)
        return False

    def kill(self) -> bool:
        """SIGKILL for it and all that it started; False when it had ended already."""
        assert self._child is not None
        self._over = True
        killed = self._child.kill()
        self.life.kills += killed
        return killed

    def log(self) -> str:
        """The end of what the root's runs have said."""
        assert self._child is not None
        return self._child.log.read_text(errors="replace")[-6000:]


def _cpu_seconds(group: int) -> float:
    """User and system time of a process group, that of its members' ended children included."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            total += sum(map(int, fields[11:15]))
    return total / TICK


@contextmanager
def lives(home: Path, *roots: Path) -> Iterator[tuple[Life, ...]]:
    """Data roots that share one Prefect server, started for them."""
    from flows.platform.credentials import CLIENT_AUTH, stored_credentials

    market, server = bokeh_market(), PrefectServer(home)
    server.start()
    variables = {
        "PREFECT_API_URL": server.url,
        CLIENT_AUTH: stored_credentials(home),
        "PREFECT_HOME": str(home / "client"),
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    try:
        with forks_of(__file__, **variables) as forks:
            yield tuple(Life(root, market, forks, server) for root in roots)
    finally:
        server.die()


def work(job: str, root: str, at: str, vendor: str, surroundings: list[Any], *words: str) -> None:
    """Do one job in this process, as the command of its name would."""
    from flows.backfill import backfill
    from flows.jobs import daily, weekly
    from flows.operations import back_up_warehouse, maintenance
    from flows.prediction import score
    from flows.settings import ConfigSelection

    variables, umask, largest = surroundings
    for name, value in variables.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    time.tzset()
    if umask is not None:
        os.umask(umask)
    if largest is not None:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    chosen = ConfigSelection(
        profile="simulation",
        overrides=(f"data_root={root}", f"sandbox.now={at}", f'sandbox.url="{vendor}"', *SHORT),
    )
    if job == "backfill":
        first, last = (datetime.fromisoformat(word).date() for word in words)
        backfill(chosen, first, last, what=("prices",))
        backfill(chosen, first, last, what=("headlines",))
    elif job == "backup":
        back_up_warehouse(chosen, Path(words[0]))
    elif job == "restore":
        _restore(chosen, Path(words[0]))
    else:
        {"daily": daily, "weekly": weekly, "score": score, "maintenance": maintenance}[job](chosen)


def _restore(chosen: Any, folder: Path) -> None:
    from flows.settings import load_settings
    from warehouse.ops.restore import restore

    restore(folder, load_settings(chosen.config, chosen.profile, chosen.overrides).warehouse)


if __name__ == "__main__":
    # Imported before the fork, so that children start at once.
    import yfinance  # noqa: F401

    import flows.jobs
    import flows.operations  # noqa: F401

    serve(work)
