"""A backfill grows with tickers, survives being killed at any moment, and is done only once.

NEWSVANE_BACKFILL=full backfills a year of fifty tickers and kills it ten times.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.builders.servers import asking
from tests.builders.warehouse import bytes_below, wait_for_bytes

pytestmark = pytest.mark.slow

FULL = os.environ.get("NEWSVANE_BACKFILL") == "full"
SIZE, START, END, KILLS = (
    (50, date(2012, 1, 3), date(2012, 12, 31), 10)
    if FULL
    else (6, date(2012, 9, 4), date(2012, 10, 31), 2)
)
TICKERS_PER_TASK = 10


def test_killed_backfill_goes_on_and_a_second_one_does_nothing(
    scene: Callable[..., Any], prefect_runs: str, tmp_path: Path
) -> None:
    from flows.backfill import backfill

    town = scene(SIZE, START, END)
    whole = tmp_path / "whole"
    tasks = ingest_tasks(prefect_runs)
    backfill(town.selection(whole), START, END)
    # One chart and one search a ticker, one task and one commit ten tickers, however many days.
    assert len(town.asked()) == 2 * SIZE
    assert ingest_tasks(prefect_runs) - tasks == 2 * -(-SIZE // TICKERS_PER_TASK)

    attempts = killed_backfills(town, tmp_path, bytes_below(whole))
    expected = town.content(whole)
    assert expected["bars"].num_rows > SIZE * 35
    assert expected["examples"].num_rows > SIZE * 20
    for root in attempts:
        backfill(town.selection(root), START, END)
        found = town.content(root)
        for name, table in expected.items():
            assert found[name].equals(table), f"{name} of {root.name}"
        assert town.landed(root) == town.landed(whole)

    with town.lake(attempts[-1]) as lake:
        snapshot, asked = lake.snapshot_id(), len(town.vendor.requests)
        assert backfill(town.selection(attempts[-1]), START, END).requests == 0
        assert len(town.vendor.requests) == asked
        assert lake.snapshot_id() == snapshot


def killed_backfills(town: Any, tmp_path: Path, whole: int) -> list[Path]:
    """Kill KILLS backfills once they have written a random share of `whole` bytes.

    One that escapes ends its warehouse.
    """
    chance, killed, folders = random.Random(19), 0, [tmp_path / "killed-0"]
    while killed < KILLS:
        root = folders[-1]
        mark = chance.uniform(bytes_below(root), whole)
        child = town.run("backfill", root, start=START, end=END)
        wait_for_bytes(root, int(mark), child.ended)
        if child.kill():
            killed += 1
        else:
            folders.append(tmp_path / f"killed-{len(folders)}")
    return folders


def ingest_tasks(api: str) -> int:
    """How many tasks of prices and headlines the server has recorded so far."""
    with asking(api, os.environ["PREFECT_API_AUTH_STRING"]) as server:
        named = [
            server.post("/task_runs/count", json={"task_runs": {"name": {"like_": name}}})
            for name in ("prices ", "headlines ")
        ]
    return sum(int(answer.raise_for_status().json()) for answer in named)
