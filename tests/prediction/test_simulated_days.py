"""Days run one by one under a moved clock, and one backfill, must tell the same story."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from flows.settings import ConfigSelection, load_settings
from tasks.dataset.spec.clock import exchange_sessions
from warehouse.lake import Lake

FIRST, LAST = date(2012, 9, 4), date(2012, 10, 1)
DAYS = int(os.environ.get("NEWSVANE_SIMULATED_DAYS", "2"))
"""How many of the twenty sessions are run one by one; the rest of the past is backfilled."""
PAST = timedelta(days=60)
SPLIT = (
    "dataset.split.start=2012-09-04",
    "dataset.split.train_until=2012-09-14",
    "dataset.split.validation_until=2012-09-21",
    "dataset.split.end=2012-10-01",
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_runs")]


def selection(root: Path, now: datetime, *more: str) -> ConfigSelection:
    return ConfigSelection(
        overrides=(f"data_root={root}", f"sandbox.now={now.isoformat()}", *SPLIT, *more)
    )


def contents(root: Path, dataset_id: str) -> dict[str, str]:
    folder = root / "datasets" / dataset_id
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.jsonl"))
    }


def test_daily_runs_equal_one_backfill_to_the_byte(tmp_path) -> None:
    from flows.backfill import backfill
    from flows.dataset import build_dataset
    from flows.jobs import daily

    sessions = exchange_sessions("XNYS", FIRST, LAST)
    assert sessions.num_rows == 20
    opens_at = sessions["open_ts"].to_pylist()[-DAYS:]
    before = datetime.combine(opens_at[0].date(), time(9), UTC)
    backfill(selection(tmp_path / "daily", before), FIRST - PAST, opens_at[0].date())
    for opens in opens_at:
        daily(selection(tmp_path / "daily", opens - timedelta(minutes=15)))
    evening = datetime(2012, 10, 2, 12, 0, tzinfo=UTC)
    last = selection(tmp_path / "daily", evening)
    daily(last)
    by_day = build_dataset(last)

    at_once = selection(tmp_path / "backfill", evening, "warehouse.threads=2")
    backfill(at_once, FIRST - PAST, LAST)
    whole = build_dataset(at_once)

    assert by_day.dataset_id == whole.dataset_id
    assert sum(split.rows for split in whole.splits.values()) > 40
    assert contents(tmp_path / "daily", by_day.dataset_id) == contents(
        tmp_path / "backfill", whole.dataset_id
    )
    for root, kind in ((tmp_path / "daily", "observed"), (tmp_path / "backfill", "asserted")):
        settings = load_settings(overrides=[f"data_root={root}"])
        with Lake.open(settings.warehouse) as lake:
            found = lake.sql("SELECT DISTINCT availability FROM headlines")
        assert kind in found["availability"].to_pylist()
