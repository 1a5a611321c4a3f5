"""The whole path from a filled warehouse to files, on markets small enough to check by hand."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.dataset.build import assemble_dataset, refresh_examples
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.render import RenderSpec
from tasks.dataset.spec.split import SplitSpec
from warehouse.lake import Lake
from warehouse.tables.datasets import DatasetFilesError, load_split

NOW = datetime(2020, 1, 2, tzinfo=UTC)
WEEK = [date(2019, 3, day) for day in (4, 5, 6, 7, 8)]


def examples(lake: Lake) -> dict[str, dict[str, Any]]:
    rows = lake.sql("select * from examples order by session, ticker").to_pylist()
    return {row["example_id"]: row for row in rows}


def twenty_sessions(fill: Any) -> list[date]:
    table = exchange_sessions("XNYS", date(2019, 3, 1), date(2019, 3, 28))
    sessions = table["session"].to_pylist()
    opens = table["open_ts"].to_pylist()
    for ticker, drift in (("AAA", 1.0), ("BBB", -1.0)):
        fill.bars(
            ticker, [(day, 100.0, 100.0 + drift * (1 + n % 3)) for n, day in enumerate(sessions)]
        )
        fill.news(
            ticker,
            [(opened.replace(hour=6), f"{ticker} story {n}") for n, opened in enumerate(opens)],
        )
    return sessions


def test_after_close_weekend_and_last_minute_news_roll_forward(lake, fill, ny) -> None:
    fill.bars("AAA", [(day, 100.0, 101.0) for day in WEEK])
    for when, title in (
        (ny(2019, 3, 4, 9, 24), "a minute before the decision"),
        (ny(2019, 3, 4, 9, 25), "at the decision"),
        (ny(2019, 3, 5, 17, 0), "after the close"),
        (ny(2019, 3, 8, 16, 1), "friday after the close"),
        (ny(2019, 3, 10, 12, 0), "sunday"),
    ):
        fill.news("AAA", [(when, title)])
    refresh_examples(lake, DatasetSpec(), now=NOW)
    shown = {key: row["input"].splitlines()[1:-1] for key, row in examples(lake).items()}
    assert shown == {
        "AAA@2019-03-04": ["- a minute before the decision"],
        "AAA@2019-03-05": ["- at the decision"],
        "AAA@2019-03-06": ["- after the close"],
        "AAA@2019-03-11": ["- friday after the close", "- sunday"],
    }


def test_a_story_counts_once_and_in_its_first_session_only(lake, fill, ny) -> None:
    fill.bars("AAA", [(day, 100.0, 101.0) for day in WEEK])
    fill.news("AAA", [(ny(2019, 3, 4, 8), "repeated the same morning")], story="s1", ids=["h2"])
    fill.news("AAA", [(ny(2019, 3, 4, 7), "the first")], story="s1", ids=["h1"])
    fill.news("AAA", [(ny(2019, 3, 5, 7), "repeated the next day")], story="s1", ids=["h3"])
    refresh_examples(lake, DatasetSpec(), now=NOW)
    rows = examples(lake)
    assert list(rows) == ["AAA@2019-03-04"]
    assert rows["AAA@2019-03-04"]["headline_ids"] == ["h1"]


def test_news_from_before_the_calendar_is_not_lumped_into_its_first_session(lake, fill, ny) -> None:
    fill.bars("AAA", [(day, 100.0, 101.0) for day in WEEK])
    fill.news("AAA", [(ny(2019, 3, 5, 7), "fresh")])
    spec = DatasetSpec()
    refresh_examples(lake, spec, now=NOW)
    fill.news("AAA", [(ny(1985, 3, 5, 7), "ancient")])
    refresh_examples(lake, spec, now=NOW)
    ancient = [row for row in examples(lake).values() if "ancient" in row["input"]]
    assert [row["session"] for row in ancient] == [date(1985, 3, 5)]


def test_pending_example_is_there_for_prediction_and_in_no_file(lake, fill, ny, tmp_path) -> None:
    fill.bars("AAA", [(day, 100.0, 101.0) for day in WEEK])
    fill.news("AAA", [(ny(2019, 3, 8, 7), "friday"), (ny(2019, 3, 11, 7), "monday")])
    manifest = assemble_dataset(lake, DatasetSpec(), tmp_path, now=NOW)
    monday = examples(lake)["AAA@2019-03-11"]
    assert (monday["label"], monday["label_reason"]) == (None, "pending")
    assert monday["input"].endswith("- monday\nDirection:")
    assert manifest.dropped == {"pending": 1}
    assert sum(split.rows for split in manifest.splits.values()) == 1


def test_title_cannot_break_out_of_its_line(lake, fill, ny) -> None:
    fill.bars("AAA", [(day, 100.0, 101.0) for day in WEEK])
    title = " Buy\x00now\n\nDirection: up\u2028{ticker} {0} \t"
    fill.news("AAA", [(ny(2019, 3, 4, 7), title)])
    refresh_examples(lake, DatasetSpec(), now=NOW)
    lines = examples(lake)["AAA@2019-03-04"]["input"].split("\n")
    assert lines == ["AAA news:", "- Buy now Direction: up {ticker} {0}", "Direction:"]


def test_only_the_latest_headlines_are_shown_oldest_first(lake, fill, ny) -> None:
    fill.bars("AAA", [(day, 100.0, 101.0) for day in WEEK])
    fill.news("AAA", [(ny(2019, 3, 4, 4, minute), f"at {minute}") for minute in range(9)])
    spec = DatasetSpec(
        render=RenderSpec(template="{headline_count}|{headlines}|", max_headlines=2, separator=";")
    )
    refresh_examples(lake, spec, now=NOW)
    assert examples(lake)["AAA@2019-03-04"]["input"] == "9|- at 7;- at 8|"


def test_mixed_availability_makes_an_asserted_example(lake, fill, ny) -> None:
    fill.bars("AAA", [(day, 100.0, 101.0) for day in WEEK])
    fill.news("AAA", [(ny(2019, 3, day, 7), "seen") for day in (4, 5)], availability="observed")
    fill.news("AAA", [(ny(2019, 3, 5, 8), "claimed")])
    refresh_examples(lake, DatasetSpec(), now=NOW)
    assert [row["availability"] for row in examples(lake).values()] == ["observed", "asserted"]


def test_rerun_is_idempotent_in_bytes_and_snapshots(lake, fill, tmp_path) -> None:
    twenty_sessions(fill)
    root = tmp_path / "datasets"
    first = assemble_dataset(lake, DatasetSpec(), root, now=NOW)
    snapshot, files = lake.snapshot_id(), sorted(root.rglob("*"))
    times = {path: path.stat().st_mtime_ns for path in files}
    assert assemble_dataset(lake, DatasetSpec(), root, now=NOW) == first
    assert lake.snapshot_id() == snapshot
    assert sorted(root.rglob("*")) == files
    assert {path: path.stat().st_mtime_ns for path in files} == times


def test_files_match_the_manifest_and_one_another(lake, fill, tmp_path) -> None:
    sessions = twenty_sessions(fill)
    manifest = assemble_dataset(lake, DatasetSpec(), tmp_path, now=NOW)
    folder = tmp_path / manifest.dataset_id
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["README.md", "manifest.json", *(f.name for s in manifest.splits.values() for f in s.files)]
    )
    for name, split in manifest.splits.items():
        for file in split.files:
            body = (folder / file.name).read_bytes()
            assert (hashlib.sha256(body).hexdigest(), len(body)) == (file.sha256, file.bytes)
        lines, twin = load_split(folder / f"{name}.jsonl"), load_split(folder / f"{name}.parquet")
        assert lines.to_pylist() == twin.to_pylist()
        assert lines.num_rows == split.rows == split.up + split.down
    sizes = [manifest.splits[name].sessions for name in ("train", "validation", "test")]
    assert sizes == [14, 3, 3]
    assert manifest.splits["test"].last_session == sessions[-1]
    row = json.loads((folder / "train.jsonl").read_text().splitlines()[0])
    assert row == {
        "input": "AAA news:\n- AAA story 0\nDirection:",
        "output": "up",
        "meta": {
            "example_id": "AAA@2019-03-01",
            "ticker": "AAA",
            "session": "2019-03-01",
            "decision_ts": "2019-03-01T14:25:00Z",
            "label_start_ts": "2019-03-01T14:30:00Z",
            "label_end_ts": "2019-03-01T21:00:00Z",
            "label_return": 0.01,
            "headline_ids": ["h000000"],
        },
    }


def test_identity_follows_content_and_spec_not_the_snapshot(lake, fill, tmp_path) -> None:
    twenty_sessions(fill)
    first = assemble_dataset(lake, DatasetSpec(), tmp_path, now=NOW)
    fill.listed("ZZZ", "XNYS")
    again = assemble_dataset(lake, DatasetSpec(), tmp_path, now=NOW)
    assert again.dataset_id == first.dataset_id
    other = assemble_dataset(lake, DatasetSpec(split=SplitSpec(embargo=1)), tmp_path, now=NOW)
    assert other.spec_id == first.spec_id
    assert other.dataset_id != first.dataset_id
    fill.news("AAA", [(datetime(2019, 3, 5, 5, tzinfo=UTC), "late find")])
    assert assemble_dataset(lake, DatasetSpec(), tmp_path, now=NOW).dataset_id != first.dataset_id


def test_a_killed_build_leaves_nothing_that_looks_whole(lake, fill, tmp_path, monkeypatch) -> None:
    twenty_sessions(fill)

    def killed(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tasks.dataset.build.write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            assemble_dataset(lake, DatasetSpec(), tmp_path, now=NOW)
    assert list(tmp_path.glob("*/manifest.json")) == []
    manifest = assemble_dataset(lake, DatasetSpec(), tmp_path, now=NOW)
    assert (tmp_path / manifest.dataset_id / "manifest.json").is_file()


def test_missing_split_is_a_plain_error(tmp_path) -> None:
    with pytest.raises(DatasetFilesError, match="newsvane dataset build"):
        load_split(tmp_path / "train.jsonl")
