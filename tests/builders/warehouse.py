"""Empty warehouses, and markets small enough to reason about put into them without any vendor."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from warehouse.lake import Lake, LakeSpec
from warehouse.tables import schemas
from warehouse.tables.batches import FEATURES, FeatureBatch
from warehouse.tables.features import FeaturePublication, publish_features

LONG_AFTER = datetime(2020, 1, 1, tzinfo=UTC)
STAMP = pa.timestamp("us", tz="UTC")
QUARANTINED = {
    "quarantine_id": "q", "kind": "bar", "source": "s", "key": "k", "reason": "r", "record": "{}",
    "payload_id": None, "quarantined_at": LONG_AFTER,
}  # fmt: skip
"""A row of the quarantine."""

OpenLake = Callable[[Path], Lake]


def lake_spec_below(folder: Path) -> LakeSpec:
    """Where the warehouse in `folder` is. One thread: with so few rows a second one only costs."""
    return LakeSpec(threads=1).placed_below(folder)


def sessions_of(*exchanges: str, hour: int = 14) -> pa.Table:
    """A session of each exchange on 2 January 2020, from half past `hour` to half past nine UTC."""
    count, opened = len(exchanges), datetime(2020, 1, 2, hour, 30, tzinfo=UTC)
    return pa.table(
        {
            "exchange": list(exchanges),
            "session": [opened.date()] * count,
            "open_ts": pa.array([opened] * count, STAMP),
            "close_ts": pa.array([opened.replace(hour=21)] * count, STAMP),
        }
    )


def bytes_below(folder: Path) -> int:
    """How much a warehouse has written so far: payloads, data files and catalog.

    Who kills a writer waits for a share of it: what is interrupted depends on no machine's speed.
    """
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # written beside its place, or gone by a commit
            total += path.stat().st_size * path.is_file()
    return total


def wait_for_bytes(folder: Path, wanted: int, ended: Callable[[], bool]) -> None:
    """Wait until a warehouse has written `wanted` bytes, or whoever writes has ended."""
    while bytes_below(folder) < wanted and not ended():
        time.sleep(0.01)


HOLD = """
import sqlite3, sys, time
catalog = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
catalog.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@contextmanager
def held_by_another_program(catalog: Path, seconds: float) -> Iterator[None]:
    """While open, and for so long at most, another process holds the catalog."""
    words = [sys.executable, "-c", HOLD, str(catalog), str(seconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield
        finally:
            other.kill()


@pytest.fixture(scope="session")
def open_lake(tmp_path_factory: pytest.TempPathFactory) -> OpenLake:
    """Opens the warehouse in a folder; where there is none, a copy of an empty one.

    Making the tables costs more than most tests do with them.
    """
    template = tmp_path_factory.mktemp("template")
    Lake.open(lake_spec_below(template)).close()

    def opened(folder: Path) -> Lake:
        if not (folder / "catalog.sqlite").exists():
            shutil.copytree(template, folder, dirs_exist_ok=True)
        return Lake.open(lake_spec_below(folder))

    return opened


@pytest.fixture
def lake_spec(tmp_path: Path) -> LakeSpec:
    """A place for a warehouse of its own for one test; nothing is there yet."""
    return lake_spec_below(tmp_path)


@pytest.fixture
def lake(open_lake: OpenLake, tmp_path: Path) -> Iterator[Lake]:
    """A real, empty DuckLake, where `lake_spec` says."""
    with open_lake(tmp_path) as opened:
        yield opened


@dataclass
class Filler:
    """Appends bars, splits and news to a lake, as the publishing code would leave them."""

    lake: Lake
    written: int = 0

    def bars(
        self,
        ticker: str,
        rows: Iterable[tuple[date, float, float]],
        *,
        volume: int | list[int] = 1000,
        adjusted: float | None = None,
        basis: date | None = None,
        recorded: datetime = LONG_AFTER,
    ) -> None:
        """Rows are (session, open, close); the adjusted close is close times `adjusted`."""
        days = list(rows)
        traded = volume if isinstance(volume, list) else [volume] * len(days)
        made = [
            {
                "ticker": ticker, "session": session, "basis_date": basis or session,
                "open": first, "high": max(first, last), "low": min(first, last), "close": last,
                "vendor_adj_close": None if adjusted is None else last * adjusted, "volume": shares,
                "source": "test", "payload_id": "none", "recorded_at": recorded, "vintage": 1,
            }
            for (session, first, last), shares in zip(days, traded, strict=True)
        ]  # fmt: skip
        table = pa.Table.from_pylist(made, schema=schemas.BARS)
        self.lake.transact(lambda tx: tx.upsert("bars", table, ("ticker", "session")))

    def split(self, ticker: str, ex_date: date, ratio: float) -> None:
        """A split of `ratio` new shares for one old."""
        row = {"ticker": ticker, "ex_date": ex_date, "kind": "split", "value": ratio, "vintage": 1}
        row |= {"source": "test", "payload_id": "none", "basis_date": ex_date}
        self._insert("actions", row | {"recorded_at": LONG_AFTER})

    def listed(self, ticker: str, exchange: str) -> None:
        """The ticker trades on `exchange`."""
        row = {"ticker": ticker, "exchange": exchange, "alias": ticker, "kind": "symbol"}
        self._insert("tickers", row | {"valid_from": date(1990, 1, 1)})

    def news(
        self,
        ticker: str,
        rows: Iterable[tuple[datetime, str]],
        *,
        ids: Iterable[str] | None = None,
        story: str | list[str] | None = None,
        availability: str = "asserted",
        source: str = "wire",
        seen_after: timedelta = timedelta(0),
    ) -> list[str]:
        """Rows are (published at, title), available `seen_after` that; returns the headline ids."""
        worded = list(rows)
        names = list(ids or (f"h{self.written + number:06d}" for number in range(len(worded))))
        self.written += len(worded)
        stories = story if isinstance(story, list) else [story or name for name in names]
        made = [
            {
                "headline_id": name, "story_id": of_story, "source": source, "title": title,
                "published_at": at, "first_seen_at": at + seen_after, "synthetic": True,
                "available_at": at + seen_after, "availability": availability,
                "granularity": "second",
                "payload_id": "none", "revision": 1,
            }
            for name, of_story, (at, title) in zip(names, stories, worded, strict=True)
        ]  # fmt: skip
        headlines = pa.Table.from_pylist(made, schema=schemas.HEADLINES)
        about = pa.Table.from_pylist(
            [{"headline_id": name, "ticker": ticker, "method": "declared"} for name in names]
        )
        self.lake.transact(
            lambda tx: (tx.append("headlines", headlines), tx.append("headline_tickers", about))
        )
        return names

    def features(
        self,
        name: str,
        rows: Iterable[tuple[str, datetime, dict[str, float | str | None]]],
        *,
        seen: datetime = LONG_AFTER,
        granularity: str = "second",
    ) -> FeaturePublication:
        """Rows of a feature set are (ticker or *, known at, values), first seen at `seen`."""
        made = [
            {
                "feature_set": name, "ticker": ticker, "known_at": at, "name": column,
                "number": None if isinstance(value, str) else value,
                "text": value if isinstance(value, str) else None, "granularity": granularity,
                "available_at": at if granularity != "day" else at + timedelta(hours=36),
                "first_seen_at": seen, "payload_id": "f" * 64,
            }
            for ticker, at, values in rows
            for column, value in values.items()
        ]  # fmt: skip
        table = pa.Table.from_pylist(made, schema=FEATURES)
        return publish_features(self.lake, FeatureBatch(features=table), now=seen)

    def edit(self, headline_id: str, at: datetime, title: str) -> None:
        """The headline reads otherwise from `at` on; its former wording becomes a revision."""
        query = "select * from headlines where headline_id = $id"
        stored = self.lake.sql(query, {"id": headline_id})
        kept = ["headline_id", "revision", "title", "summary", "published_at", "available_at"]
        former = stored.select([*kept, "payload_id"]).append_column(
            "superseded_at", pa.array([at], STAMP)
        )
        row = stored.to_pylist()[0]
        row |= {"title": title, "available_at": at, "revision": row["revision"] + 1}
        edited = pa.Table.from_pylist([row], schema=stored.schema)
        self.lake.transact(
            lambda tx: (
                tx.append("headline_revisions", former),
                tx.upsert("headlines", edited, ("headline_id",)),
            )
        )

    def _insert(self, table: str, row: dict[str, object]) -> None:
        self.lake.transact(lambda tx: tx.append(table, pa.Table.from_pylist([row])))


@pytest.fixture
def fill(lake: Lake) -> Filler:
    """Puts rows into an empty warehouse."""
    return Filler(lake)


@pytest.fixture
def ny() -> Callable[..., datetime]:
    """An instant in New York's wall time, as UTC."""

    def instant(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
        local = datetime(year, month, day, hour, minute, tzinfo=ZoneInfo("America/New_York"))
        return local.astimezone(UTC)

    return instant


@pytest.fixture(scope="session")
def filler_of() -> type[Filler]:
    """The filler itself, for warehouses that outlive one test."""
    return Filler
