"""Chronological splits: nothing of a later split may be learnt from an earlier one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.dataset.build import assemble_dataset
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec, LabelSpec
from tasks.dataset.spec.split import SplitSpec, WalkForwardSpec, walk_forward
from warehouse.tables.datasets import load_split

NOW = datetime(2020, 1, 2, tzinfo=UTC)
DAYS = exchange_sessions("XNYS", date(2019, 3, 1), date(2019, 3, 28))["session"].to_pylist()


def build(lake, fill, root: Path, **spec: Any) -> tuple[Any, dict[str, list[date]]]:
    for ticker in ("AAA", "BBB"):
        fill.bars(ticker, [(day, 100.0, 101.0 + n) for n, day in enumerate(DAYS)])
    manifest = assemble_dataset(lake, DatasetSpec(min_headlines=0, **spec), root, now=NOW)
    rows = {
        name: load_split(root / manifest.dataset_id / f"{name}.parquet")
        for name in ("train", "validation", "test")
    }
    return manifest, rows


def days(rows: Any, name: str) -> list[date]:
    return sorted(set(rows[name]["session"].to_pylist()))


def test_sessions_are_cut_by_date_and_stay_whole(lake, fill, tmp_path) -> None:
    cut = SplitSpec(start=DAYS[2], train_until=DAYS[9], validation_until=DAYS[14], end=DAYS[17])
    manifest, rows = build(lake, fill, tmp_path, split=cut)
    assert days(rows, "train") == DAYS[2:10]
    assert days(rows, "validation") == DAYS[10:15]
    assert days(rows, "test") == DAYS[15:18]
    assert [rows[name].num_rows for name in rows] == [16, 10, 6]
    assert manifest.dropped["outside_window"] == 10  # four labelled days and the pending one


def test_label_windows_never_reach_across_a_cut(lake, fill, tmp_path) -> None:
    cut = SplitSpec(train_until=DAYS[9], validation_until=DAYS[14])
    manifest, rows = build(lake, fill, tmp_path, split=cut, label=LabelSpec(horizon=3))
    assert days(rows, "train") == DAYS[:8]
    assert days(rows, "validation") == DAYS[10:13]
    assert manifest.dropped["purged"] == 8
    for earlier, later in (("train", "validation"), ("validation", "test")):
        last_end = max(rows[earlier]["label_end_ts"].to_pylist())
        assert last_end < min(rows[later]["decision_ts"].to_pylist())


def test_embargo_counts_back_from_the_purge(lake, fill, tmp_path) -> None:
    cut = SplitSpec(train_until=DAYS[9], validation_until=DAYS[14], embargo=2)
    manifest, rows = build(lake, fill, tmp_path, split=cut, label=LabelSpec(horizon=2))
    assert days(rows, "train") == DAYS[:7]
    assert days(rows, "validation") == DAYS[10:12]
    assert (manifest.dropped["purged"], manifest.dropped["embargoed"]) == (4, 8)


def test_fractions_count_sessions(lake, fill, tmp_path) -> None:
    _, rows = build(lake, fill, tmp_path, split=SplitSpec(fractions=(0.5, 0.25, 0.25)))
    assert [len(days(rows, name)) for name in rows] == [10, 5, 5]
    assert days(rows, "train")[-1] < days(rows, "validation")[0]
    assert days(rows, "validation")[-1] < days(rows, "test")[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"train_until": DAYS[1]},
        {"train_until": DAYS[5], "validation_until": DAYS[4]},
        {"start": DAYS[5], "end": DAYS[4]},
        {"fractions": (0.5, 0.5, 0.5)},
        {"embargo": -1},
    ],
)
def test_impossible_split_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SplitSpec(**wrong)


def test_a_story_shown_again_later_is_not_trained_on_before(lake, fill, tmp_path) -> None:
    hours = [datetime(day.year, day.month, day.day, 11, tzinfo=UTC) for day in DAYS]
    for ticker in ("AAA", "BBB"):
        fill.bars(ticker, [(day, 100.0, 101.0 + n) for n, day in enumerate(DAYS)])
    (first,) = fill.news("AAA", [(hours[4], "about one")])
    fill.news("BBB", [(hours[12], "about the other")], story=first)
    fill.news("AAA", [(hours[5], "something else")])
    cut = {"train_until": DAYS[9], "validation_until": DAYS[14]}
    kept = SplitSpec(cross_split_duplicates="keep", **cut)
    both = assemble_dataset(lake, DatasetSpec(split=kept), tmp_path, now=NOW)
    assert (both.splits["train"].rows, both.splits["validation"].rows) == (2, 1)
    dropped = assemble_dataset(lake, DatasetSpec(split=SplitSpec(**cut)), tmp_path, now=NOW)
    assert (dropped.splits["train"].rows, dropped.splits["validation"].rows) == (1, 1)
    assert dropped.dropped == {"straddling_story": 1}


def test_balance_touches_the_training_split_alone(lake, fill, tmp_path) -> None:
    closes = [99.0 if n % 3 == 0 else 101.0 for n in range(len(DAYS))]
    fill.bars("AAA", [(day, 100.0, close) for day, close in zip(DAYS, closes, strict=True)])
    cut = {"train_until": DAYS[11], "validation_until": DAYS[14]}

    def counts(balance: str) -> dict[str, tuple[int, int]]:
        spec = DatasetSpec(min_headlines=0, split=SplitSpec(balance=balance, **cut))
        manifest = assemble_dataset(lake, spec, tmp_path, now=NOW)
        return {name: (split.up, split.down) for name, split in manifest.splits.items()}

    plain, even = counts("as_is"), counts("downsample")
    assert plain["train"] == (8, 4)
    assert even["train"] == (4, 4)
    assert (even["validation"], even["test"]) == (plain["validation"], plain["test"])


def test_walk_forward_tests_every_session_once_and_only_later_ones() -> None:
    folds = walk_forward(DAYS, WalkForwardSpec(train=8, validation=2, test=3, expanding=False))
    assert [fold.start for fold in folds] == [DAYS[0], DAYS[3], DAYS[6]]
    tested = []
    for fold in folds:
        assert fold.start < fold.train_until < fold.validation_until < fold.end
        tested += [day for day in DAYS if fold.validation_until < day <= fold.end]
    assert tested == DAYS[10:19]
    with pytest.raises(ValueError, match="not enough"):
        walk_forward(DAYS[:5], WalkForwardSpec(train=8, validation=2, test=3))
    with pytest.raises(ValueError, match="ascending"):
        walk_forward(DAYS[::-1], WalkForwardSpec(train=1, validation=1, test=1))
