"""Hazard of an export others read: fields they do not know, predictions that were never made."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.prediction.forecastbench import ForecastExportError, export_forecasts
from tests.builders.command_line import Newsvane
from tests.builders.rows import append, example
from tests.builders.warehouse import OpenLake
from warehouse.lake import Lake
from warehouse.tables.predictions import store_forward, upcoming_examples

OPEN = datetime(2024, 1, 3, 14, 30, tzinfo=UTC)
QUESTION = {
    "id", "source", "question", "resolution_criteria", "background", "market_info_open_datetime",
    "market_info_close_datetime", "market_info_resolution_criteria", "url", "freeze_datetime",
    "freeze_datetime_value", "freeze_datetime_value_explanation", "source_intro",
    "resolution_dates",
}  # fmt: skip
"""The keys of a question in ForecastBench's sets since combined questions were dropped."""


def _predicted(lake: Lake) -> None:
    """Two tickers predicted in time by a model and a baseline, once more and otherwise by it."""
    append(lake, "examples", [example(f"{t}-3", OPEN, None, ticker=t) for t in ("AAPL", "MSFT")])
    for minutes, p_up in ((10, 0.7), (4, 0.2)):
        now = OPEN - timedelta(minutes=minutes)
        frame = upcoming_examples(lake, "s1", now=now)
        names = {"fine_tuned": [p_up] * 2, "majority": [0.5, 0.5]}
        models = {"fine_tuned": f"m{minutes}"}
        store_forward(lake, frame, names, model_ids=models, dataset_id="d1", now=now)


def test_sets_have_the_published_fields_and_the_first_predictions(
    lake: Lake, tmp_path: Path
) -> None:
    _predicted(lake)
    asked, *sets = export_forecasts(lake, tmp_path / "out", organization="Example Lab")
    assert asked.name == "2024-01-03-newsvane.json"
    question_set = json.loads(asked.read_text("utf-8"))
    assert question_set["forecast_due_date"] == "2024-01-03"
    assert question_set["question_set"] == asked.name
    questions: list[dict[str, Any]] = question_set["questions"]
    assert all(set(one) == QUESTION for one in questions)
    assert [one["resolution_dates"] for one in questions] == [["2024-01-03"]] * 2
    assert "Will AAPL return more than 0.00% from the open of" in questions[0]["question"]
    found = {}
    for number, path in enumerate(sets, start=1):
        assert path.name == f"2024-01-03.Example Lab.{number}.json"
        made = json.loads(path.read_text("utf-8"))
        assert made["question_set"] == asked.name
        ids = [one["id"] for one in questions]
        assert [one["id"] for one in made["forecasts"]] == ids
        assert {one["source"] for one in (*questions, *made["forecasts"])} == {"newsvane"}
        found[made["model"]] = {one["forecast"] for one in made["forecasts"]}
    assert found == {"m10": {0.7}, "m4": {0.2}, "majority": {0.5}}


def test_late_predictions_and_wrong_names_are_not_exported(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(ForecastExportError, match="made in time"):
        export_forecasts(lake, tmp_path, organization="Lab")
    _predicted(lake)
    with pytest.raises(ForecastExportError, match="2024-01-04 was made in time"):
        export_forecasts(lake, tmp_path, organization="Lab", session=date(2024, 1, 4))
    for name in ("../up", "", "a/b"):
        with pytest.raises(ForecastExportError, match="organization"):
            export_forecasts(lake, tmp_path, organization=name)
    assert not list(tmp_path.glob("*.json"))


def test_command_writes_the_files(newsvane: Newsvane, tmp_path: Path, open_lake: OpenLake) -> None:
    with open_lake(tmp_path / "data") as lake:
        _predicted(lake)
    words = ("predictions", "export", str(tmp_path / "out"), "--organization", "Lab")
    done = newsvane(*words, "--session", "2024-01-03")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("2024-01-03*.json"))) == 4
