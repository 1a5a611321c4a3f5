"""What a build leaves out when it may: each quick path gives what the slow one gives."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.dataset.build import refresh_examples, write_dataset
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.render import RenderSpec
from tasks.dataset.spec.split import SplitSpec
from warehouse.lake import Lake, LakeSpec, sql
from warehouse.tables import datasets as dataset_files
from warehouse.tables.examples import build_examples, derive_examples

CALENDAR = exchange_sessions("XNYS", date(2019, 2, 20), date(2019, 4, 5)).to_pylist()
LATER = datetime(2019, 5, 1, tzinfo=UTC)
SPEC = DatasetSpec(
    render=RenderSpec(template="{ticker} {returns} {days_since_news}\n{headlines}"),
    split=SplitSpec(train_until=date(2019, 3, 15), validation_until=date(2019, 3, 25)),
)
TICKERS = ("AAA", "BBB", "CCC")
QUIET = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def publish(fill: Any, numbers: range) -> None:
    for ticker, drift in zip(TICKERS, (1.0, -1.0, 2.0), strict=True):
        days = [CALENDAR[number] for number in numbers]
        fill.bars(ticker, [(day["session"], 100.0, 100.0 + drift) for day in days])
        at = [day["open_ts"] - timedelta(hours=3) for day in days]
        names = [f"{ticker}-{number}" for number in numbers]
        fill.news(ticker, [(moment, f"{ticker} at {moment}") for moment in at], ids=names)


@pytest.fixture(scope="module")
def changing(tmp_path_factory, filler_of) -> Any:
    """A filler of one warehouse that each example changes further."""
    with Lake.open(LakeSpec(threads=1).placed_below(tmp_path_factory.mktemp("changing"))) as lake:
        fill = filler_of(lake)
        publish(fill, range(6, 26))
        yield fill


CHANGES = ("news", "retold", "edit", "new bar", "restated", "split", "listed", "nothing")


def change(fill: Any, kind: str, number: int) -> None:
    day, ticker = CALENDAR[number], TICKERS[number % 3]
    before, name = day["open_ts"] - timedelta(hours=2), f"{kind}-{fill.written}"
    if kind == "news":
        fill.news(ticker, [(before, name)], ids=[name])
    elif kind == "retold":
        fill.news(ticker, [(before, name)], ids=[name], story=f"{ticker}-{number}")
    elif kind == "edit":
        fill.news(ticker, [(before, name)], ids=[name])
        fill.edit(name, day["close_ts"], f"{name}, edited")
    elif kind == "new bar":
        fill.bars(ticker, [(CALENDAR[26]["session"], 100.0, 90.0 + number)])
    elif kind == "restated":
        fill.bars(ticker, [(day["session"], 100.0, 100.0 + fill.written % 7 - 3)])
    elif kind == "split":
        fill.split(ticker, day["session"], 2.0)
    elif kind == "listed":
        fill.listed(f"D{fill.written}", "XNYS")


@settings(QUIET, max_examples=6)
@given(changes=st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(6, 25)), max_size=3))
def test_whatever_changed_an_increment_equals_a_full_derivation(changing, changes) -> None:
    lake, parameters = changing.lake, SPEC.sql_parameters()
    for kind, number in changes:
        change(changing, kind, number)
    refresh_examples(lake, SPEC, now=LATER)
    stored = lake.sql(
        "SELECT * FROM examples WHERE spec_id = $spec ORDER BY session, ticker",
        {"spec": SPEC.spec_id},
    )
    derive_examples(lake, parameters)
    derived = lake.read("examples_derived")
    assert stored.num_rows > 40
    assert stored.to_pylist() == derived.to_pylist()


@pytest.fixture(scope="module")
def filled(tmp_path_factory, filler_of) -> Any:
    """A warehouse with examples over three months."""
    with Lake.open(LakeSpec(threads=1).placed_below(tmp_path_factory.mktemp("filled"))) as lake:
        publish(filler_of(lake), range(26))
        refresh_examples(lake, SPEC, now=LATER)
        yield lake


def test_a_build_that_compares_finds_nothing_to_change_in_one_that_did_not(filled: Lake) -> None:
    parameters = SPEC.sql_parameters()
    followed = pa.table({"spec_id": [SPEC.spec_id], "snapshot_id": [0], "logic": ["other SQL"]})
    filled.transact(lambda tx: tx.upsert("example_builds", followed, ("spec_id",)))
    assert build_examples(filled, parameters, batch=7) == 0
    count = filled.sql("SELECT count(*) AS n, count(DISTINCT example_id) AS k FROM examples")
    assert count.to_pylist() == [{"n": 78, "k": 78}]


def files_of(lake: Lake, spec: DatasetSpec, root: Path) -> dict[str, str]:
    manifest, folder = write_dataset(lake, spec, root, 1)
    files = [file for split in manifest.splits.values() for file in split.files]
    rows = {split: dataset_files.load_split(folder / f"{split}.jsonl") for split in manifest.splits}
    for split, found in rows.items():
        assert found.equals(dataset_files.load_split(folder / f"{split}.parquet"))
    assert sum(found.num_rows for found in rows.values()) == sum(
        split.rows for split in manifest.splits.values()
    )
    return {file.name: file.sha256 for file in files}


@settings(QUIET, max_examples=5)
@given(batch=st.integers(1, 30), read=st.integers(1, 90), monthly=st.booleans())
def test_how_many_rows_are_read_at_a_time_changes_no_byte(
    filled: Lake, tmp_path_factory, batch: int, read: int, monthly: bool
) -> None:
    spec = SPEC.model_copy(update={"files": "monthly" if monthly else "whole"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset_files, "BATCH_ROWS", batch)
        # A query for each row group, as if nothing were read together.
        patch.setattr(dataset_files, "READ_ROWS", 0)
        one_by_one = files_of(filled, spec, tmp_path_factory.mktemp("one"))
        patch.setattr(dataset_files, "READ_ROWS", read)
        assert files_of(filled, spec, tmp_path_factory.mktemp("some")) == one_by_one


def test_a_reading_that_fails_leaves_no_folder_and_no_thread(filled: Lake, tmp_path) -> None:
    broken = "SELECT nothing_of_the_kind FROM chosen"
    with (
        sql.override("dataset_rows", broken),
        pytest.raises(Exception, match="nothing_of_the_kind"),
    ):
        write_dataset(filled, SPEC, tmp_path, 1)
    assert list(tmp_path.iterdir()) == []
    assert files_of(filled, SPEC, tmp_path)


def test_little_memory_changes_no_byte(filled: Lake, filler_of, tmp_path) -> None:
    small = LakeSpec(threads=2, memory_limit="64MB").placed_below(tmp_path)
    with Lake.open(small) as lake:
        publish(filler_of(lake), range(26))
        refresh_examples(lake, SPEC, now=LATER)
        found = files_of(lake, SPEC, tmp_path / "small")
    assert found == files_of(filled, SPEC, tmp_path / "large")
