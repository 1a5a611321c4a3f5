"""The supervisor of a stack: `newsvane up --foreground`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flows.platform import health
from flows.platform.credentials import SERVER_AUTH
from flows.platform.daily_watch import DailyWatch
from flows.platform.environment import announce_server
from flows.platform.interruption import end_in_own_time, let_end
from flows.platform.notifications import keep_alarms
from flows.platform.part_alarms import PartAlarms, log
from flows.platform.processes import MARK, birth, end_stack, marked, runs_of_stack
from flows.platform.recovery import crash_dead_runs, skip_missed_runs
from flows.platform.server import (
    HOST,
    ServerError,
    require_free,
    server_command,
    server_log,
)
from flows.platform.service_manager import ALIVE, READY, STOPPING, tell_service_manager
from flows.platform.site_server import INBOX, alarms_path, inbox_of
from flows.platform.stack import UP, only_one, state_path
from flows.platform.supervisor import DOWN_AFTER, START_SECONDS, Part, State, Supervisor
from warehouse.storage.atomic import write_text

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.settings import Settings

SERVER, DEPLOYMENTS, WORKER, SITE = "server", "deployments", "worker", "site"
TICK = 0.5
"""Seconds between two looks at the processes."""
ASK_SECONDS = 30.0
"""How often the calendar and waiting alarms are looked at, in seconds."""


def run_stack(
    settings: Settings,
    words: Sequence[str],
    *,
    host: str,
    port: int,
    site_port: int,
    names: Sequence[str] = (),
) -> None:
    """Run server, worker, deployments, alarms and site until stopped.

    What an earlier stack left is ended first, and its runs are told as crashed. A part that dies
    is started again and told of. `words` choose the configuration for the parts. Raises
    ServerError when the stack runs already or a part does not come up.
    """
    end_in_own_time()
    with only_one(settings.data_root):
        left = end_stack(settings.data_root)
        if left:
            log(f"{left} processes that a killed stack had left were ended")
        require_free(host, port)
        require_free(HOST, site_port)
        stack = _Stack(settings, words, host, port, site_port, names)
        try:
            stack.bring_up()
            stack.keep_up()
        except KeyboardInterrupt:
            pass
        finally:
            tell_service_manager(STOPPING)
            # A second signal must not leave half of it behind.
            let_end()
            stack.end()


class _Stack:
    def __init__(
        self,
        settings: Settings,
        words: Sequence[str],
        host: str,
        port: int,
        site_port: int,
        names: Sequence[str],
    ) -> None:
        self._settings, self._root = settings, settings.data_root
        self._path = state_path(self._root)
        self._inbox = inbox_of(self._root, HOST, site_port)
        self._site = self._inbox.url.removesuffix(INBOX)
        self._api, server_words, server_environment = server_command(self._root, port, host, names)
        os.environ["PREFECT_API_URL"] = self._api  # read when Prefect is first imported, as below
        self._alarms = PartAlarms(
            settings.alarms, alarms_path(self._root), self._api.removesuffix("/api")
        )
        self._watch = None if settings.sandbox else DailyWatch(settings.universe.exchange)
        self._client: SyncPrefectClient | None = None
        self._state, self._looked = "starting", 0.0
        mark = marked(self._root)
        ours = [sys.executable, "-m", "flows.cli.main", *words, "serve"]
        worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", health.POOL]
        site = [sys.executable, "-m", "flows.platform.site_server", str(self._root.resolve())]
        self._supervisor = Supervisor(
            (
                Part(
                    SERVER,
                    server_words,
                    server_environment | {MARK: mark[MARK]},
                    lambda _: health.server_fault(self._api, os.environ[SERVER_AUTH]),
                    log=server_log(self._root),
                    started_again=lambda _: self._announce(),
                ),
                Part(
                    SITE,
                    [*site, "--host", HOST, "--port", str(site_port)],
                    mark,
                    lambda _: health.site_fault(self._site),
                ),
                Part(
                    DEPLOYMENTS,
                    ours,
                    mark,
                    lambda since: self._asked(health.deployments_fault, since),
                    needs=SERVER,
                    started_again=self._recover,
                ),
                Part(
                    WORKER,
                    [*worker, "--type", "process", "--name", health.worker_name()],
                    mark,
                    lambda since: self._asked(health.worker_fault, since),
                    needs=SERVER,
                    started_again=self._recover,
                ),
            ),
            self._report,
            self._write,
        )

    def bring_up(self) -> None:
        """Start all parts and wait until each does its work. Raises ServerError if one does not."""
        parts, began = self._supervisor.parts, datetime.now(UTC)
        others = [parts.pop(name) for name in (DEPLOYMENTS, WORKER)]
        self._await_parts()
        self._announce()
        keep_alarms(self._settings.alarms, self._inbox)
        self._recover(began)
        skipped = skip_missed_runs(self._connected(), datetime.now(UTC))
        if skipped:
            log(f"{len(skipped)} runs that were due without the stack were skipped")
        parts |= {part.name: part for part in others}
        self._await_parts()
        self._state = UP
        self._write()
        tell_service_manager(READY)
        log("all parts are up")

    def keep_up(self) -> None:
        """Watch until interrupted."""
        while True:
            self._supervisor.tick()
            now = time.monotonic()
            if now - self._looked >= ASK_SECONDS:
                self._looked = now
                self._look_around()
                tell_service_manager(ALIVE)
            time.sleep(TICK)

    def end(self) -> None:
        """End all parts and what they started, and forget that there was a stack."""
        self._supervisor.end()
        end_stack(self._root)
        for path in (self._path, self._root / "prefect" / "server.json"):
            path.unlink(missing_ok=True)

    def _await_parts(self) -> None:
        parts = self._supervisor.parts
        deadline = time.monotonic() + START_SECONDS
        while any(part.state != UP for part in parts.values()):
            self._supervisor.tick()
            late = time.monotonic() > deadline
            for part in parts.values():
                if part.state != UP and (part.deaths or late):
                    why = part.why or f"it did not do its work within {START_SECONDS:.0f} s"
                    where = f"in {part.log}" if part.log else "above"
                    raise ServerError(
                        f"The {part.name} of the stack did not come up: {why}. Correct what its "
                        f"last words {where} say and run `newsvane up` again; nothing is running."
                    )
            time.sleep(TICK)

    def _look_around(self) -> None:
        if self._supervisor.parts[SERVER].state != UP:
            return
        self._alarms.flush()
        if self._watch is not None:
            with _logged("whether a daily run is due could not be told"):
                self._watch.tell(self._connected, datetime.now(UTC))

    def _report(self, name: str, state: State, why: str) -> None:
        deaths = self._supervisor.parts[name].deaths
        # Not each time, once it is known to die again and again.
        if self._state != UP or (deaths > DOWN_AFTER and deaths & (deaths - 1)):
            log(f"{name}: {state}: {why}")
        else:
            self._alarms.send(name, state, why)

    def _announce(self) -> None:
        process = self._supervisor.parts[SERVER].process
        if process is not None:
            announce_server(self._root, self._api, process.pid)

    def _recover(self, before: datetime) -> None:
        with _logged("runs without a process could not be looked for"):
            dead = crash_dead_runs(self._connected(), runs_of_stack(self._root), before)
            if dead:
                log(f"marked as crashed, their processes being gone: {', '.join(dead)}")

    def _asked(self, fault: health.PolledFault, since: datetime) -> str | None:
        try:
            return fault(self._connected(), since)
        except Exception as error:
            return f"the server could not be asked about it ({type(error).__name__})"

    def _connected(self) -> SyncPrefectClient:
        from prefect.client.orchestration import get_client

        if self._client is None:
            # One client: each would read the certificate store again.
            made = get_client(httpx_settings={"timeout": 15}, sync_client=True)
            self._client = made.__enter__()
        return self._client

    def _write(self) -> None:
        if not self._path.parent.is_dir():
            return
        parts = {
            part.name: {
                "state": part.state,
                "why": part.why,
                "deaths": part.deaths,
                "pid": part.process.pid if part.process else None,
                "born": birth(part.process.pid) if part.process else None,
            }
            for part in self._supervisor.parts.values()
        }
        record = {
            "pid": os.getpid(),
            "born": birth(os.getpid()),
            "state": self._state,
            "ui": self._api.removesuffix("/api"),
            "site": self._site,
            "parts": parts,
        }
        write_text(self._path, json.dumps(record))


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        log(f"{what}: {type(error).__name__}: {str(error).strip().partition(os.linesep)[0]}")
