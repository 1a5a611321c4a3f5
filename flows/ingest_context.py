"""What every ingest step needs at hand, and the turn-taking between runs at the same source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import FileLock

from flows.connections import Outside
from flows.ledger import done_ranges
from flows.settings import Settings
from tasks.ingest.planning import DateRange, Request, plan_requests
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.batches import Land


@dataclass(frozen=True, slots=True)
class Desk:
    """Settings, outside world and warehouse of one run. `force`: ask again for what is done."""

    settings: Settings
    outside: Outside
    lake: Lake
    force: bool = False

    @property
    def landing(self) -> Landing:
        """Where payloads are kept as received."""
        return Landing.of(self.settings.warehouse)

    @property
    def land(self) -> Land:
        """Stores a payload before it is parsed."""
        return self.landing.store

    def plan(
        self, source: str, keys: tuple[str, ...], wanted: DateRange, group_size: int
    ) -> list[Request]:
        """The requests that `source` has not answered yet."""
        done = {} if self.force else done_ranges(self.lake, source)
        return plan_requests(keys, wanted, done, group_size)

    @contextmanager
    def turn(self, source: str, request: Request) -> Iterator[list[Request]]:
        """Wait until no other run on this machine asks `source`, then yield what is still missing.

        Two backfills and a daily run thus never ask for the same range twice.
        """
        name = re.sub(r"[^\w.-]", "_", source)
        folder = self.settings.data_root / "turns"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):
            wanted = (request.start, request.end)
            yield self.plan(source, request.keys, wanted, len(request.keys))
