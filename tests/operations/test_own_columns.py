"""The page on own columns does what it says, by the real command line on the sandbox."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from flows.features import import_what_is_there
from flows.settings import load_settings
from tests.builders.command_line import REPOSITORY, Newsvane
from tests.operations.docs.conftest import Page
from warehouse.lake import Lake, LakeSpec

PAGE = Page(REPOSITORY / "docs" / "how-to" / "own-columns.md")
WEEKS = ("2012-06-04", "2012-06-29")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The page's file and tables, behind the shipped configuration."""
    (tmp_path / "fundamentals.csv").write_text(PAGE.all("csv")[0])
    path = tmp_path / "newsvane.toml"
    shipped = (REPOSITORY / "newsvane.toml").read_text("utf-8")
    path.write_text(f"{shipped}\n{PAGE.all('toml')[0]}", "utf-8")
    return path


@pytest.mark.usefixtures("prefect_runs")
def test_the_page_s_example_runs_as_printed(
    newsvane: Newsvane, config: Path, tmp_path: Path
) -> None:
    cuts = {"start": WEEKS[0], "train_until": "2012-06-15", "validation_until": "2012-06-20"}
    span = [word for name, day in cuts.items() for word in ("--set", f"dataset.split.{name}={day}")]
    where = ("--config", str(config), "--set", "dataset.min_headlines=0", *span)
    filled = newsvane(*where, "backfill", *WEEKS, "--what", "prices", "--what", "headlines")
    assert filled.returncode == 0, filled.stderr
    answers = {}
    for words in PAGE.commands():
        answer = newsvane(*where, *words)
        assert answer.returncode == 0, f"{words}: {answer.stdout}{answer.stderr}"
        answers[" ".join(words[:3])] = answer.stdout
    counted = "5 rows in the file = 4 kept + 0 repeated + 1 quarantined"
    assert counted in answers["import features fundamentals"]
    assert "1 × pe is not a finite number" in answers["import features fundamentals"]
    assert "every own column is as it was known" in answers["audit lookahead"]
    with Lake.reading(LakeSpec().placed_below(tmp_path / "data")) as lake:
        rows = lake.sql("select ticker, session::varchar as day, input from examples").to_pylist()
    read = {(row["ticker"], row["day"]): row["input"].splitlines()[0] for row in rows}
    wanted = {
        ("IBM", "2012-06-08"): "IBM (P/E 13.4, hold since 8 days) news:",
        ("IBM", "2012-06-14"): "IBM (P/E 12.9, buy since 1 days) news:",
        ("IBM", "2012-06-13"): "IBM (P/E 13.4, hold since 13 days) news:",
        ("AAPL", "2012-06-18"): "AAPL (P/E ?, ? since ? days) news:",
        ("AAPL", "2012-06-20"): "AAPL (P/E 13.8, ? since 1 days) news:",
        ("MSFT", "2012-06-20"): "MSFT (P/E ?, ? since ? days) news:",
    }
    assert {key: read[key] for key in wanted} == wanted


def test_a_file_that_is_gone_is_named_and_the_other_sets_go_on(
    newsvane: Newsvane, config: Path, tmp_path: Path
) -> None:
    unknown = newsvane("--config", str(config), "import", "features", "macro", "--dry-run")
    assert unknown.returncode != 0
    assert "fundamentals" in unknown.stderr
    settings = load_settings(config, None, [f"data_root={tmp_path / 'data'}"])
    lost = settings.features[0].model_copy(update={"name": "lost", "file": tmp_path / "lost.csv"})
    both = settings.model_copy(update={"features": (lost, *settings.features)})
    day = date(2013, 3, 1)
    daily = import_what_is_there(both, (day, day))
    assert daily.features == 4
    assert [name for name, _ in daily.missing] == ["features lost"]
    assert not daily.rows
    (config.parent / "fundamentals.csv").unlink()
    gone = newsvane("--config", str(config), "import", "features", "--dry-run")
    assert gone.returncode != 0
    assert "fundamentals.csv" in gone.stderr
