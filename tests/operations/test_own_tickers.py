"""Hazards on the way from an empty folder to a verdict: somebody else's tickers, a file lost."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from flows.cli.init import PRESET_FEEDS, write_configuration
from flows.settings import ConfigurationError, find_configuration, load_settings
from sandbox.market import bokeh_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tests.builders.command_line import Newsvane, command_of, run_to_its_end

TODAY = date(2013, 2, 1)
NOW = datetime(2013, 2, 1, 23, tzinfo=UTC)
MINE = ("IBM", "AAPL", "MSFT")


def test_written_configuration_is_commented_and_is_the_nearest_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write_configuration(tmp_path / "mine", MINE, "XNYS", PRESET_FEEDS, today=TODAY)
    below = tmp_path / "mine" / "notebooks" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_configuration(Path.cwd()) == made
    monkeypatch.delenv("NEWSVANE_DATA_ROOT", raising=False)
    settings = load_settings()
    assert settings.universe.tickers == MINE
    assert settings.data_root == tmp_path / "mine" / "data"
    assert settings.history.prices_start < settings.history.headlines_start < TODAY
    text = made.read_text("utf-8")
    tables = [line for line in text.splitlines() if line.startswith("[")]
    assert text.count("\n#") > len(tables)
    assert tomllib.loads(text)["universe"]["exchange"] == "XNYS"


@pytest.mark.parametrize(
    ("tickers", "exchange", "feeds", "named"),
    [
        (("NOT A TICKER",), "XNYS", PRESET_FEEDS, "NOT A TICKER"),
        (MINE, "XXXX", PRESET_FEEDS, "XXXX"),
        (MINE, "XNYS", ("no-such-feed",), "no-such-feed"),
        (MINE, 'XNYS"\nx = "', PRESET_FEEDS, "newsvane"),
    ],
)
def test_configuration_that_could_not_be_used_is_not_written(
    tmp_path: Path, tickers: tuple[str, ...], exchange: str, feeds: tuple[str, ...], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        write_configuration(tmp_path, tickers, exchange, feeds, today=TODAY)
    assert not list(tmp_path.iterdir())


def test_existing_configuration_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "newsvane.toml").write_text("# mine\n")
    with pytest.raises(ConfigurationError, match="exists already"):
        write_configuration(tmp_path, MINE, "XNYS", PRESET_FEEDS, today=TODAY)
    assert (tmp_path / "newsvane.toml").read_text() == "# mine\n"


def test_command_without_configuration_asks_and_makes_nothing(tmp_path: Path) -> None:
    environment = {key: text for key, text in os.environ.items() if "NEWSVANE_" not in key}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    for words in (("sql", "select 1"), ("daily",), ("doctor",)):
        done = run_to_its_end(command_of(*words), tmp_path, environment)
        assert done.returncode == 2
        assert "newsvane init" in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(tmp_path.iterdir())


@pytest.fixture
def vendor() -> Iterator[SandboxVendor]:
    """Yahoo's charts and the news feeds on loopback."""
    with SandboxVendor(bokeh_market(), NewsSpec(mode="planted"), now=lambda: NOW) as served:
        yield served


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_runs")
def test_own_tickers_come_to_a_verdict(
    newsvane: Newsvane, vendor: SandboxVendor, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    feeds = ("--feed", "yahoo-finance", "--feed", "google-news")
    assert newsvane("init", *MINE, "--folder", str(folder), *feeds).returncode == 0
    mine = (
        "--config", str(folder / "newsvane.toml"),
        "--set", f"sandbox.url={vendor.base_url}", "--set", f"sandbox.now={NOW.isoformat()}",
    )  # fmt: skip
    span = ("2012-09-04", "2013-02-01")
    for words in (
        ("backfill", *span, "--what", "prices", "--what", "headlines"),
        ("dataset", "build"),
        ("audit", "lookahead", "--moments", "1"),
    ):
        done = newsvane(*words, *mine)
        assert done.returncode == 0, done.stdout + done.stderr
    verdict = newsvane("evaluate", "--baselines-only", *mine)
    assert verdict.returncode == 0, verdict.stderr
    assert "majority" in verdict.stdout
    asked = {ticker for served in vendor.requests for ticker in served.request.tickers}
    assert asked - {"STOCK"} == set(MINE)  # the search's own word
