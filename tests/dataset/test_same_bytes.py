"""One content, one data set: whatever the order, the threads, the day or the number of runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.dataset.build import assemble_dataset, refresh_examples
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.render import RenderSpec
from tasks.dataset.spec.split import SplitSpec
from warehouse.lake import Lake, LakeSpec
from warehouse.tables import datasets as dataset_files
from warehouse.tables import schemas
from warehouse.tables.examples import build_examples, derived_batches

SPEC = DatasetSpec(
    render=RenderSpec(
        template="{ticker} {returns} {volume_change} {market_return} {days_since_news}\n{headlines}"
    ),
    split=SplitSpec(train_until=date(2019, 3, 15), validation_until=date(2019, 3, 22)),
)
Row = dict[str, Any]
TICKERS = ("AAA", "BBB", "CCC", "DDD")
CALENDAR = exchange_sessions("XNYS", date(2019, 3, 1), date(2019, 4, 5)).to_pylist()


class World:
    """Bars and news of four tickers, published whole or day by day, in a warehouse of its own."""

    def __init__(self, lake: Lake, filler: type) -> None:
        self.lake, self.fill = lake, filler(lake)

    def publish(self, numbers: list[int], order: Sequence[str] = TICKERS) -> None:
        """What the morning and evening runs of these sessions would bring in."""
        for ticker in order:
            news, prices = [], []
            for number in numbers:
                row, seed = CALENDAR[number], random.Random(f"{ticker}{number}")
                price = (row["session"], 100.0, 100.0 + seed.randint(-5, 5))
                prices.append((price, seed.randint(100, 900)))
                for step in range(seed.choice([0, 1, 1, 2, 5])):
                    name = f"{ticker}-{number}-{step}"
                    at = row["open_ts"] - timedelta(hours=4, minutes=step)
                    news.append((at, f"{ticker} {number} {step}", name, name))
                if seed.random() < 0.3:
                    story, at = f"{ticker}-{number - 1}-0", row["open_ts"] - timedelta(hours=3)
                    news.append((at, "repeated", f"{ticker}-{number}-repeated", story))
            bars, volumes = zip(*prices, strict=True)
            self.fill.bars(ticker, bars, volume=list(volumes))
            if news:
                at, title, names, stories = zip(*news, strict=True)
                rows = zip(at, title, strict=True)
                self.fill.news(ticker, rows, ids=names, story=list(stories))

    def edited(self, ticker: str, first: list[Row], second: list[Row]) -> None:
        """Headlines whose second wording was known at the instant of the first."""
        about = [
            {"headline_id": row["headline_id"], "ticker": ticker, "method": "declared"}
            for row in first
        ]
        known = {"source": "wire", "availability": "asserted", "granularity": "second"}
        known |= {"synthetic": True, "payload_id": "none"}
        now = [
            row | known | {
                "story_id": row["headline_id"], "available_at": row["published_at"],
                "first_seen_at": row["published_at"],
            }
            for row in second
        ]  # fmt: skip
        before = [
            row | {
                "available_at": row["published_at"], "superseded_at": row["published_at"],
                "payload_id": "none",
            }
            for row in first
        ]  # fmt: skip
        tables = {
            "headlines": (now, schemas.HEADLINES),
            "headline_revisions": (before, schemas.HEADLINE_REVISIONS),
            "headline_tickers": (about, schemas.HEADLINE_TICKERS),
        }

        for name, (listed, schema) in tables.items():
            rows = pa.Table.from_pylist(listed, schema=schema)
            self.lake.transact(lambda tx, name=name, rows=rows: tx.append(name, rows))

    def build(self, root: Path, now: datetime) -> DatasetManifest:
        return assemble_dataset(self.lake, SPEC, root, now=now)


@pytest.fixture
def world(tmp_path: Path, filler_of, request) -> Callable[..., World]:
    def make(name: str, threads: int = 2) -> World:
        (tmp_path / name).mkdir()
        lake = Lake.open(LakeSpec(threads=threads).placed_below(tmp_path / name))
        request.addfinalizer(lake.close)
        return World(lake, filler_of)

    return make


def hashes(manifest: DatasetManifest) -> dict[str, str]:
    return {f.name: f.sha256 for split in manifest.splits.values() for f in split.files}


LATER = datetime(2019, 5, 1, tzinfo=UTC)


def test_order_and_threads_change_no_byte(world, tmp_path) -> None:
    one, other = world("one", threads=1), world("other", threads=2)
    one.publish(list(range(12)))
    other.publish(random.Random(5).sample(range(12), 12), TICKERS[::-1])
    first, second = one.build(tmp_path / "a", LATER), other.build(tmp_path / "b", LATER)
    assert hashes(first) == hashes(second)
    assert first.dataset_id == second.dataset_id
    assert first.splits["train"].rows > 20


def test_day_by_day_equals_one_backfill(world, tmp_path) -> None:
    daily, whole = world("daily"), world("whole")
    whole.publish(list(range(18)))
    daily.publish(list(range(13)))
    for number in range(13, 18):
        daily.publish([number])
        daily.build(tmp_path / "daily", CALENDAR[number]["close_ts"] + timedelta(hours=3))
    last = daily.build(tmp_path / "daily", LATER)
    backfilled = whole.build(tmp_path / "whole", LATER)
    assert hashes(last) == hashes(backfilled)
    assert last.dataset_id == backfilled.dataset_id
    query = "select * from examples order by session, ticker"
    assert daily.lake.sql(query).equals(whole.lake.sql(query))


def test_a_late_find_in_old_news_equals_a_full_build(world, tmp_path) -> None:
    late, whole = world("late"), world("whole")
    late.publish([number for number in range(12) if number != 4])
    late.build(tmp_path / "late", LATER)
    late.publish([4])
    whole.publish(list(range(12)))
    found, at_once = late.build(tmp_path / "late", LATER), whole.build(tmp_path / "whole", LATER)
    assert hashes(found) == hashes(at_once)


def test_small_batches_change_no_line(world, tmp_path, monkeypatch) -> None:
    split, whole = world("split"), world("whole")
    for one in (split, whole):
        one.publish(list(range(12)))
        one.fill.edit("AAA-4-0", CALENDAR[4]["close_ts"], "edited")
    at_once = whole.build(tmp_path / "whole", LATER)
    parameters = SPEC.sql_parameters()
    # Laid out by a build of other examples, so that the calendar is there.
    refresh_examples(split.lake, DatasetSpec(), now=LATER)
    assert build_examples(split.lake, parameters, batch=5) > 20
    assert sum(1 for _ in derived_batches(split.lake, parameters, batch=5)) > 5
    query = f"select * from examples where spec_id = '{SPEC.spec_id}' order by session, ticker"
    assert split.lake.sql(query).equals(whole.lake.sql(query))
    monkeypatch.setattr(dataset_files, "BATCH_ROWS", 3)
    in_batches = split.build(tmp_path / "split", LATER)
    assert in_batches.dataset_id == at_once.dataset_id
    train = tmp_path / "split" / in_batches.dataset_id / "train"
    lines = dataset_files.load_split(train.with_suffix(".jsonl"))
    assert lines.equals(dataset_files.load_split(train.with_suffix(".parquet")))


@pytest.mark.parametrize("seed", [0, 1])
def test_of_wordings_known_at_one_instant_the_first_counts_in_every_plan(world, seed: int) -> None:
    """What a query leaves to chance follows the order of rows, and would be another data set."""
    one, chance = world("one", threads=1 + seed % 2), random.Random(seed)
    one.publish([3])
    rows = [
        {"headline_id": f"h{number}-{step}", "published_at": CALENDAR[number]["open_ts"]}
        for number in range(5, 15)
        for step in range(400)
    ]
    first = [row | {"revision": 1, "title": "as it was first"} for row in rows]
    second = [row | {"revision": 2, "title": "as it was edited"} for row in rows]
    for listed in (first, second):
        chance.shuffle(listed)
    one.edited("AAA", first, second)
    refresh_examples(one.lake, SPEC, now=LATER)
    query = "SELECT input FROM examples WHERE contains(input, 'as it was')"
    shown = one.lake.sql(query)["input"]
    assert len(shown) == 10
    assert not [text for text in shown.to_pylist() if "edited" in text]
