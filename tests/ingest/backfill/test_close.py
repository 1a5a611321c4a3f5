"""A run that comes too early for a session's bar leaves the session for the next run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

START, END = date(2012, 9, 4), date(2012, 9, 7)
CLOSE = datetime(2012, 9, 7, 20, tzinfo=UTC)
"""New York's, 16:00 by its clock."""


def test_run_soon_after_the_close_leaves_the_session_for_the_next(
    scene: Callable[..., Any], tmp_path: Path
) -> None:
    from flows.ingest import ingest

    market = scene(1, START, END)

    def sessions_after(minutes: int) -> list[date]:
        now = CLOSE + timedelta(minutes=minutes)
        selection = market.selection(tmp_path, f"sandbox.now={now.isoformat()}")
        assert not ingest(selection, START, END, what=("prices",)).lacking
        with market.lake(tmp_path) as lake:
            found = lake.sql("SELECT session FROM bars ORDER BY session")["session"].to_pylist()
            [last] = lake.sql("SELECT max(range_end) AS day FROM partitions")["day"].to_pylist()
        assert last == found[-1], "the ledger has no day as done whose bar it lacks"
        return list(found)

    assert sessions_after(10)[-1] == date(2012, 9, 6)
    assert sessions_after(60)[-1] == END
