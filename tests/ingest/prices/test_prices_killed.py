"""An ingest killed at any moment and run again leaves the tables of one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from sandbox.faults import Fault, FaultPlan
from sandbox.market import Market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tests.builders.warehouse import bytes_below, lake_spec_below, wait_for_bytes
from warehouse.lake import Lake
from warehouse.storage.landing import Landing

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("NEWSVANE_KILLS", "8"))
KILLS_A_WAREHOUSE = 4
SCRIPT = Path(__file__).with_name("price_ingest_process.py")
# All of the tables but what the vendor's own clock puts into answers.
TABLES = {
    "bars": "*",
    "bar_revisions": "*",
    "actions": "*",
    "action_revisions": "*",
    "quarantine": "*",
    "partitions": "*",
    "payloads": "* EXCLUDE (headers)",
}


class Ingests:
    """A process that forks one ingest after another."""

    def __init__(self, origin: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), origin],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(SCRIPT.parents[3])},
        )

    def _say(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(self, folder: Path) -> int:
        """Begin an ingest into `folder`; returns its process id."""
        return self._say(str(folder))

    def wait(self) -> int:
        """The exit status of the ingest begun last; negative signals as waitpid tells them."""
        return os.waitstatus_to_exitcode(self._say("wait"))

    def ended(self) -> bool:
        """Whether the ingest begun last has ended by itself."""
        return bool(self._say("ended"))

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=300)


@pytest.fixture
def ingests(bokeh: Market) -> Iterator[Ingests]:
    now = datetime(2013, 3, 1, 22, 30, tzinfo=UTC)
    # One bad bar, so that the quarantine has something to lose.
    plan = FaultPlan.of(Fault(kind="negative_price", ticker="IBM"))
    with SandboxVendor(bokeh, NewsSpec(), now=lambda: now, faults=plan) as vendor:
        process = Ingests(vendor.base_url)
        yield process
        process.stop()


def tables(folder: Path) -> dict[str, pa.Table]:
    with Lake.open(lake_spec_below(folder)) as lake:
        return {
            name: lake.sql(f"SELECT {columns} FROM {name} ORDER BY ALL")
            for name, columns in TABLES.items()
        }


def test_killed_at_random_moments_and_rerun_gives_the_same_tables(
    ingests: Ingests, tmp_path: Path
) -> None:
    def folder(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    whole = folder("whole")
    ingests.start(whole)
    assert ingests.wait() == 0
    written = bytes_below(whole)
    expected = tables(whole)
    assert expected["bars"].num_rows > 100
    assert expected["quarantine"].num_rows > 0

    moments = random.Random(20130301)
    killed = 0
    for first in range(0, KILLS, KILLS_A_WAREHOUSE):
        broken = folder(f"broken{first}")
        for _ in range(min(KILLS_A_WAREHOUSE, KILLS - first)):
            pid = ingests.start(broken)
            wait_for_bytes(broken, moments.randrange(written), ingests.ended)
            os.kill(pid, signal.SIGKILL)
            killed += ingests.wait() == -signal.SIGKILL
        ingests.start(broken)
        assert ingests.wait() == 0
        found = tables(broken)
        for name in TABLES:
            assert found[name].equals(expected[name]), name
        landing = Landing(broken / "landing")
        for payload_id in found["payloads"]["payload_id"].to_pylist():
            landing.load(payload_id)
    assert killed > KILLS // KILLS_A_WAREHOUSE
