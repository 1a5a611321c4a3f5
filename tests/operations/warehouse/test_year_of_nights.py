"""Hazard of a long life: upkeep expires what a nightly build needs, or storage never ends."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import cycle
from pathlib import Path

import pytest

from tasks.checks.integrity import seal, verify
from tasks.dataset.build import assemble_dataset, refresh_examples
from tasks.dataset.rebuild import rebuild_dataset
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import SplitSpec
from tests.builders.warehouse import Filler, bytes_below
from warehouse.lake import Lake
from warehouse.ops.maintenance import MaintenanceSpec, Upkeep, maintain
from warehouse.storage.landing import Landing

SPEC = DatasetSpec(
    split=SplitSpec(train_until=date(2019, 3, 15), validation_until=date(2019, 3, 22))
)
SESSIONS = {
    row["session"]: row
    for row in exchange_sessions("XNYS", date(2019, 3, 1), date(2020, 9, 30)).to_pylist()
}
MONTH = MaintenanceSpec()


class Nights:
    """A warehouse that lives by a clock of its own: what is written gets that clock's time."""

    def __init__(self, lake: Lake, root: Path) -> None:
        self.lake, self.root = lake, root
        self.now = datetime(2019, 3, 1, 23, tzinfo=UTC)
        self.fill = Filler(lake)
        self._dated: set[Path] = set()
        self._last_snapshot = -1
        self._date_back()

    def pass_days(self, days: int) -> None:
        self.now += timedelta(days=days)

    def ingest(self) -> None:
        """What one night brings: a bar and a headline of two tickers, if there was a session."""
        row = SESSIONS.get(self.now.date())
        if row is None:
            return
        for number, ticker in enumerate(("AAA", "BBB")):
            close = 99.0 + (self.now.day + number) % 3
            self.fill.bars(ticker, [(row["session"], 100.0, close)], recorded=self.now)
            self.fill.news(
                ticker, [(row["open_ts"] - timedelta(hours=2), f"{ticker} of {row['session']}")]
            )
        self._date_back()

    def build(self) -> DatasetManifest:
        made = assemble_dataset(self.lake, SPEC, self.root / "datasets", now=self.now)
        seal(self.lake, now=self.now)
        self._date_back()
        return made

    def maintain(self, spec: MaintenanceSpec = MONTH) -> Upkeep:
        done = maintain(self.lake, Landing.of(self.lake.spec), spec, now=self.now)
        self._date_back()
        return done

    def snapshots(self) -> list[int]:
        ids = self.lake.sql("select snapshot_id from lake.snapshots() order by all")
        return list(ids["snapshot_id"].to_pylist())

    def _date_back(self) -> None:
        """Give what was written since the last call the time of this clock."""
        with closing(sqlite3.connect(self.lake.spec.catalog_location)) as catalog, catalog:
            catalog.execute(
                "UPDATE ducklake_snapshot SET snapshot_time = ? WHERE snapshot_id > ?",
                (self.now.isoformat(sep=" "), self._last_snapshot),
            )
            catalog.execute(
                "UPDATE ducklake_files_scheduled_for_deletion SET schedule_start = ?"
                " WHERE schedule_start > '2021'",
                (self.now.isoformat(sep=" "),),
            )
        self._last_snapshot = self.lake.snapshot_id()
        for path in set(Path(self.lake.spec.storage).rglob("*.parquet")) - self._dated:
            os.utime(path, (self.now.timestamp(),) * 2)
            self._dated.add(path)


@pytest.fixture
def nights(lake: Lake, tmp_path: Path) -> Nights:
    return Nights(lake, tmp_path)


def test_build_goes_on_after_maintenance_expired_what_it_would_have_followed(
    nights: Nights,
) -> None:
    nights.ingest()
    first = nights.build()
    nights.pass_days(31)
    assert nights.maintain().snapshots_expired > 0
    nights.pass_days(3)  # 4 April 2019
    nights.ingest()
    again = nights.build()
    assert again.dataset_id != first.dataset_id
    assert rebuild_dataset(nights.lake.spec, first).identical


def test_snapshot_that_was_the_last_one_until_today_is_not_expired(nights: Nights) -> None:
    """Whoever began to read before the next commit still reads it, however old it is."""
    nights.ingest()
    read = nights.lake.snapshot_id()
    nights.pass_days(40)
    nights.ingest()
    nights.maintain(MaintenanceSpec(keep_snapshots=timedelta(0)))
    assert read in nights.snapshots()
    nights.pass_days(3)
    nights.ingest()
    nights.maintain(MaintenanceSpec(keep_snapshots=timedelta(0)))
    assert read not in nights.snapshots()


def test_specification_that_is_no_longer_built_pins_no_snapshot(nights: Nights) -> None:
    nights.ingest()
    followed = nights.lake.snapshot_id()
    refresh_examples(nights.lake, SPEC, now=nights.now)
    nights.pass_days(40)
    nights.ingest()
    nights.pass_days(40)
    nights.maintain()
    assert followed not in nights.snapshots()
    assert refresh_examples(nights.lake, SPEC, now=nights.now) > 0


@pytest.mark.slow
def test_nightly_builds_and_weekly_upkeep_survive_pauses_in_bounded_storage(
    nights: Nights,
) -> None:
    """NEWSVANE_SIMULATED_NIGHTS=365: a whole year of them around the pauses, some 15 minutes."""
    wanted = int(os.environ.get("NEWSVANE_SIMULATED_NIGHTS", "8"))
    lived, pauses, largest = 0, cycle((1, 30, 31, 90)), 0
    made: list[DatasetManifest] = []
    while lived < wanted or len(made) < 8:
        for _ in range(7 if wanted > 8 else 2):
            nights.ingest()
            made.append(nights.build())
            nights.pass_days(1)
            lived += 1
        nights.pass_days(next(pauses) if lived <= 28 or wanted <= 8 else 0)
        nights.maintain()
        found = verify(nights.lake, Landing.of(nights.lake.spec))
        assert found.sound, found.words
        largest = max(largest, len(list(Path(nights.lake.spec.storage).rglob("*.parquet"))))
    assert rebuild_dataset(nights.lake.spec, made[0]).identical
    assert rebuild_dataset(nights.lake.spec, made[-1]).identical
    # Twice what a week writes, and the merged file of each of some twenty tables.
    assert largest < 80
    assert bytes_below(Path(nights.lake.spec.storage)) < 1000 * lived + 100_000
