"""Hazard of a promotion: a record that follows the role instead of the model that made it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import newsvane
from tasks.evaluation.spec import FINE_TUNED, MAJORITY, EvaluationSpec
from tasks.prediction.promotion import decide_promotion
from tasks.prediction.record import ForwardRecord
from tasks.prediction.registry import (
    ADAPTER_FILE,
    RetrainSpec,
    active_models,
    adapter_hash,
)
from tasks.report.site.site import write_site
from tests.builders.rows import append, example, model, registered
from warehouse.lake import Lake, LakeSpec
from warehouse.tables.models import store_model
from warehouse.tables.predictions import store_forward

FIRST = date(2024, 1, 1)
TRAINED, BESIDE, AFTER = 3, 30, 4
"""Days of training, of predictions of both models, and of those since the promotion."""
TICKERS = ("AAPL", "IBM", "MSFT")
SKILL = {"old": 0.5, "new": 0.9}
SPEC = EvaluationSpec(resamples=300)


@dataclass(frozen=True)
class Lived:
    """A warehouse whose champion changed, and what each model had predicted rightly."""

    lake: Lake
    root: Path
    hits: dict[str, list[bool]]

    @property
    def now(self) -> datetime:
        return _open(TRAINED + BESIDE + AFTER) - timedelta(hours=1)


def _open(day: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, FIRST.day, 14, 30, tzinfo=UTC) + timedelta(days=day)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Champion and challenger predict day by day; the challenger wins, and both go on."""
    root = tmp_path_factory.mktemp("promotion")
    with Lake.open(LakeSpec().placed_below(root)) as lake:
        examples = _examples(lake)
        for name in SKILL:
            _add_model(lake, root, name)
            assert decide_promotion(lake, name, RetrainSpec(), SPEC).champion == "old"
        rng = np.random.default_rng(3)
        hits: dict[str, list[bool]] = {"old": [], "new": []}
        for day in range(TRAINED, TRAINED + BESIDE + AFTER):
            if day == TRAINED + BESIDE:
                assert decide_promotion(lake, "new", RetrainSpec(), SPEC).changed
            _predict(lake, examples.slice(day * len(TICKERS), len(TICKERS)), rng, hits)
        yield Lived(lake, root, hits)


def _examples(lake: Lake) -> pa.Table:
    rng, rows = np.random.default_rng(0), []
    for day in range(TRAINED + BESIDE + AFTER):
        for ticker in TICKERS:
            label = "up" if rng.random() < 0.5 else "down"
            rows.append(example(f"e{day}-{ticker}", _open(day), label, ticker=ticker))
    append(lake, "datasets", [registered("d1", [FIRST + timedelta(days=TRAINED - 1)] * 2)])
    return append(lake, "examples", rows)


def _add_model(lake: Lake, root: Path, name: str) -> None:
    folder = root / "models" / name
    folder.mkdir(parents=True)
    (folder / ADAPTER_FILE).write_bytes(name.encode())
    age = timedelta(minutes=len(list(folder.parent.iterdir())))
    made = _open(TRAINED) - timedelta(hours=1) + age
    store_model(
        lake, model(name, adapter_sha256=adapter_hash(folder), path=folder, created_at=made)
    )


def _predict(lake: Lake, frame: pa.Table, rng: Any, hits: dict[str, list[bool]]) -> None:
    """Every active model predicts under the name it has that day."""
    up = np.array(frame["label"].to_pylist()) == "up"
    predictions: dict[str, Any] = {MAJORITY: np.full(frame.num_rows, 0.52)}
    ids = {name: one.model_id for name, one in active_models(lake, "s1").items()}
    for name, model_id in ids.items():
        right = rng.random(frame.num_rows) < SKILL[model_id]
        hits[model_id] += right.tolist()
        predictions[name] = np.where(up == right, 0.7, 0.3)
    now = frame["decision_ts"][0].as_py() + timedelta(minutes=1)
    published = store_forward(lake, frame, predictions, model_ids=ids, dataset_id="d1", now=now)
    assert published.added == frame.num_rows * len(predictions)


def test_a_new_champion_does_not_inherit_the_record_of_the_old_one(lived, tmp_path) -> None:
    """Site, read API and `score` give each model's own record, and the same numbers."""
    names = lived.lake.sql("SELECT DISTINCT predictor, model_id FROM predictions").to_pylist()
    assert {(row["predictor"], row["model_id"]) for row in names} == {
        (FINE_TUNED, "old"),
        ("new", "new"),
        (FINE_TUNED, "new"),
        (MAJORITY, None),
    }
    write_site(lived.lake, tmp_path, lived.now, SPEC)
    site = {
        row["predictor"]: row
        for row in json.loads((tmp_path / "files" / "scores.json").read_text("utf-8"))
    }
    with newsvane.connect(
        overrides=(f"data_root={lived.root}", "evaluation.resamples=300")
    ) as reader:
        read = {row["predictor"]: row for row in reader.scores(now=lived.now).to_dicts()}
    record = ForwardRecord.read(lived.lake, SPEC, now=lived.now, spec_id="s1")
    assert FINE_TUNED not in site
    for name, stage, days in (("old", "retired", BESIDE), ("new", "champion", BESIDE + AFTER)):
        assert len(lived.hits[name]) == days * len(TICKERS)
        found = record.verdict(name, name).words
        for row in (site[name], read[name]):
            counts = (row["stage"], row["sessions"], row["scored"])
            assert counts == (stage, days, len(lived.hits[name]))
            assert row["accuracy"] == pytest.approx(np.mean(lived.hits[name]), abs=1e-6)
            shown = [f"{100 * row[key]:.1f}" for key in ("accuracy", "ci_low", "ci_high")]
            assert "Accuracy {}% [{}, {}]".format(*shown) in found
        same = ("accuracy", "ci_low", "ci_high", "brier", "mean_p_up", "scored", "late")
        assert [site[name][key] for key in same] == [read[name][key] for key in same]
    text = (tmp_path / "scoreboard.html").read_text("utf-8")
    assert "fine-tuned model new" in text
    assert f"{100 * site['new']['accuracy']:.1f}%" in text
