"""The literature's rule and dates on the literature's own data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tasks.checks.lookahead import audit_lookahead
from tasks.dataset.build import assemble_dataset, refresh_examples
from tasks.dataset.spec.dataset import DatasetSpec, LabelSpec
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import SplitSpec
from tests.builders.rows import columns
from warehouse.lake import Lake, LakeSpec

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]
IMPORTED = datetime(2017, 9, 4, tzinfo=UTC)
LAG = timedelta(minutes=15)
# The rule and dates of Xu and Cohen (2018), "Stock Movement Prediction from Tweets".
LITERATURE = DatasetSpec(
    label=LabelSpec(entry="previous_close", dead_band=(-0.005, 0.0055), basis="vendor_adjusted"),
    split=SplitSpec(
        start=date(2014, 1, 1),
        train_until=date(2015, 7, 31),
        validation_until=date(2015, 9, 30),
        end=date(2015, 12, 31),
    ),
)


def bars(path: Path) -> pa.Table:
    rows = pq.read_table(path)
    rows = rows.filter(pc.is_valid(rows["close"]))
    kept = {name: rows[name] for name in ("ticker", "open", "high", "low", "close", "volume")}
    return columns(kept | {
        "session": rows["date"], "vendor_adj_close": rows["adj_close"], "source": "stocknet",
        "payload_id": "none", "basis_date": IMPORTED.date(), "recorded_at": IMPORTED, "vintage": 1,
    })  # fmt: skip


def headlines(path: Path) -> pa.Table:
    rows = pq.read_table(path).group_by(["ticker", "created_at", "text"]).aggregate([])
    rows = rows.sort_by([(name, "ascending") for name in ("created_at", "text", "ticker")])
    names = pa.array([f"t{number:06d}" for number in range(rows.num_rows)])
    # The same words are one story, whoever repeats them; its first version names it.
    named = pa.table({"text": rows["text"], "story_id": names})
    first = named.group_by("text").aggregate([("story_id", "min")])
    stories = pa.table({"text": rows["text"], "headline_id": names, "ticker": rows["ticker"]})
    stories = stories.join(first, "text").sort_by("headline_id")
    published = rows["created_at"].cast(pa.timestamp("us", tz="UTC"))
    return columns({
        "headline_id": stories["headline_id"], "story_id": stories["story_id_min"],
        "ticker": stories["ticker"], "title": stories["text"], "published_at": published,
        "available_at": pc.add(published, pa.scalar(LAG)), "first_seen_at": IMPORTED,
        "revision": 1, "source": "stocknet", "granularity": "second", "availability": "asserted",
        "synthetic": False, "payload_id": "none", "method": "declared",
    })  # fmt: skip


@pytest.fixture(scope="module")
def stocknet(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """All 87 tickers, all messages, all bars that have prices."""
    root, source = tmp_path_factory.mktemp("stocknet"), shared_data / "stocknet"
    stories = headlines(source / "tweets_preprocessed.parquet")
    about = ["headline_id", "ticker", "method"]
    with Lake.open(LakeSpec().placed_below(root)) as lake:
        lake.transact(lambda tx: tx.append("bars", bars(source / "prices.parquet")))
        lake.transact(lambda tx: tx.append("headlines", stories.drop_columns(["ticker", "method"])))
        lake.transact(lambda tx: tx.append("headline_tickers", stories.select(about)))
        yield lake


@pytest.fixture(scope="module")
def manifest(stocknet: Lake, tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """The data set by the paper's rule and dates."""
    root = tmp_path_factory.mktemp("sets")
    return assemble_dataset(stocknet, LITERATURE, root, now=IMPORTED)


def test_price_moves_match_the_balance_of_the_released_files(stocknet) -> None:
    spec = LITERATURE.model_copy(update={"min_headlines": 0})
    refresh_examples(stocknet, spec, now=IMPORTED)
    query = """
        select count(*) filter (label = 'up') as up, count(*) filter (label = 'down') as down
        from examples where spec_id = $id and session between '2014-01-01' and '2015-12-31'
    """
    (row,) = stocknet.sql(query, {"id": spec.spec_id}).to_pylist()
    # Counted in the files: 13,368 and 13,253. The rest are moves into or out of a session without
    # any volume.
    assert row == {"up": 13_368 - 7, "down": 13_253 - 11}


def test_sets_with_news_are_balanced_and_of_known_size(manifest) -> None:
    rows = {name: (split.rows, split.up) for name, split in manifest.splits.items()}
    assert rows == {"train": (9563, 4942), "validation": (1218, 578), "test": (1751, 946)}
    assert not manifest.tradable


def test_lookahead_audit_passes_on_all_of_it(stocknet, manifest) -> None:
    report = audit_lookahead(stocknet, LITERATURE, seed=1, moments=1)
    assert report.passed, report.words()
