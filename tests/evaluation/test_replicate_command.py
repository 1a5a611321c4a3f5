"""Hazards of `newsvane replicate`: it can only be run on the real files, a second run gives other
numbers, a figure outside an interval is not named, a wrong folder ends in a traceback."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.builders.benchmarks import write_made_features, write_stocknet
from tests.builders.command_line import Newsvane

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_runs", "training_worker")]
METHODS = {
    "majority": 1,
    "TF-IDF + logistic regression": 1,
    "logistic regression": 1,
    "random forest": 2,
    "LSTM": 2,
    "ALSTM": 2,
    "Adv-ALSTM": 2,
    "sandbox-tiny, LoRA": 2,
}


def test_clone_of_the_repository_is_replicated_twice_alike(
    newsvane: Newsvane, tmp_path: Path
) -> None:
    folder = write_stocknet(tmp_path / "clone", date(2013, 9, 2), date(2015, 12, 31))
    given = ("replicate", "stocknet", f"--data={folder}", "--recipe=sandbox-tiny")
    made = tmp_path / "data" / "replications" / "stocknet"
    first = newsvane(*given, "--seeds=2")
    assert first.returncode == 0, first.stderr
    predictions = pq.read_table(made / "predictions.parquet")
    columns = [f"{name}, seed {k}" for name, seeds in METHODS.items() for k in range(seeds)]
    assert predictions.column_names == ["ticker", "session", "label_up", *columns]
    test = pq.read_table(made / "rows" / "test.parquet")
    assert predictions["session"].to_pylist() == test["session"].to_pylist()
    words = (made / "result.md").read_text(encoding="utf-8")
    for said in ("Adv-ALSTM, published: ", "Adv-ALSTM, re-run: ", "Published, not trained here: "):
        assert said in words
        assert said in first.stdout
    assert "StockNet" in words
    again = newsvane(*given, "--seeds=1", "--workers=1")
    assert again.returncode == 0, again.stderr
    repeated = pq.read_table(made / "predictions.parquet")
    assert repeated == predictions.select(repeated.column_names)
    assert repeated.num_columns == 3 + len(METHODS)


def test_features_made_already_are_replicated_too(newsvane: Newsvane, tmp_path: Path) -> None:
    folder = write_made_features(tmp_path / "slot", date(2020, 1, 2), date(2020, 12, 31))
    given = ("bigdata22", f"--data={folder}", "--seeds=1", "--baselines-only")
    found = newsvane("replicate", *given)
    assert found.returncode == 0, found.stderr
    assert "rows of bigdata22" in found.stdout
    assert "LoRA" not in found.stdout


@pytest.mark.parametrize(("name", "said"), [
    ("stocknet", "holds no benchmark"), ("kdd17", "no benchmark 'kdd17'"),
])  # fmt: skip
def test_wrong_folder_or_name_is_one_sentence(
    newsvane: Newsvane, tmp_path: Path, name: str, said: str
) -> None:
    refused = newsvane("replicate", name, f"--data={tmp_path}")
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
