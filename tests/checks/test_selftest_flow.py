"""The self-test through the real flow: a market without a signal must kill the one right canary."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flows.checks import selftest
from flows.settings import ConfigSelection

pytestmark = pytest.mark.slow


def chosen(root: Path, *more: str) -> ConfigSelection:
    """Data below `root`, and a market small enough to try everything in seconds."""
    return ConfigSelection(
        overrides=(f"data_root={root}", "history.prices_start=2009-12-01", *more)
    )


@pytest.mark.usefixtures("prefect_runs", "training_worker")
def test_news_that_lost_its_meaning_kills_the_planted_market_alone(tmp_path) -> None:
    """The vendor's news knows nothing, whatever was ordered: everything else must still pass."""
    small = (
        'universe.tickers=["AAPL", "IBM"]',
        "history.headlines_start=2011-09-01",
        "dataset.split.start=2011-09-01",
        "sandbox.strength=0.0",
    )
    report = selftest(chosen(tmp_path, *small), quick=True)
    failed = {canary.name for canary in report.canaries if not canary.passed}
    assert failed == {"planted market"}, report.markdown()
    assert len(report.canaries) == 8
    written = (tmp_path / "selftest" / "report.md").read_text(encoding="utf-8")
    assert "Self-test: FAILED" in written
    assert written == report.markdown()


@pytest.mark.usefixtures("prefect_runs", "training_worker")
@pytest.mark.skipif(
    not os.environ.get("NEWSVANE_WHOLE_SELFTEST"),
    reason="takes minutes; set NEWSVANE_WHOLE_SELFTEST=1 to try it with the recipe's own model",
)
@pytest.mark.parametrize("quick", [True, False])
def test_the_sound_pipeline_passes_every_canary(tmp_path, quick: bool) -> None:
    report = selftest(chosen(tmp_path), quick=quick)
    assert report.passed, report.markdown()
