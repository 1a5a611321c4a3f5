"""Two backfills and a daily run at once neither repeat each other's work nor disturb it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

START, MIDDLE, LATE, END = (
    date(2012, 9, 4), date(2012, 10, 10), date(2012, 9, 24), date(2012, 10, 31)
)  # fmt: skip


def test_overlapping_runs_ask_once_and_end_where_a_sequence_of_them_ends(
    scene: Callable[..., Any], tmp_path: Path
) -> None:
    from flows.backfill import backfill

    town = scene(6, START, END)
    together, apart = tmp_path / "together", tmp_path / "apart"
    first = {"start": START, "end": MIDDLE, "tickers": town.tickers[:4]}
    second = {"start": LATE, "end": END, "tickers": town.tickers[2:]}
    running = [
        town.run("backfill", together, **first),
        town.run("backfill", together, **second),
        town.run("daily", together),
    ]
    for child in running:
        child.wait()
    asked = town.asked()
    assert asked
    assert max(asked.values()) == 1, [what for what, times in asked.items() if times > 1]
    days = town.days_done(together)
    assert len(days) > 500
    assert max(days.values()) == 1, [day for day, times in days.items() if times > 1]
    with town.lake(together) as lake:
        again = lake.sql("SELECT * FROM partitions WHERE attempts > 1 OR state = 'failed'")
    assert again.num_rows == 0

    chosen = town.selection(apart)
    for parameters in (first, second):
        backfill(chosen, **parameters)
    town.run("daily", apart).wait()
    # Whoever comes second may find part of a range done: the ledger is cut elsewhere then, and
    # which answer had a headline first depends on it. What is known does not. Examples follow
    # from it, in whatever order it came: see test_late_data.py.
    found, expected = (town.facts(root) for root in (together, apart))
    assert expected["bars"].num_rows > 150
    assert expected["headlines"].num_rows > 80
    for name in expected.keys() - {"examples"}:
        assert found[name].equals(expected[name]), name
