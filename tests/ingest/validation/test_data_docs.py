"""Data Docs work offline, keep earlier runs, and show hostile values as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from validation.data_docs import runs
from validation.gate import check

NOW = datetime(2024, 3, 1, 22, tzinfo=UTC)
ATTACK = "<script>alert('owned')</script><img src=http://evil.example/x>\x07"


def tagged(ticker: str) -> pa.Table:
    """One row for the headline_tickers suite."""
    return pa.table({"headline_id": ["h1"], "ticker": [ticker], "method": ["feed"]})


def test_each_run_keeps_its_page_and_the_index_lists_the_latest_first(tmp_path: Path) -> None:
    for number in range(3):
        at = NOW + timedelta(days=number)
        report = check(
            "headline_tickers",
            tagged("AAPL"),
            batch=f"day {number}",
            checked_at=at,
            docs_root=tmp_path,
        )
        assert report.page is not None
        assert report.page.is_file()
    refused = check(
        "headline_tickers", tagged("aapl"), batch="../../etc", checked_at=NOW, docs_root=tmp_path
    )
    assert refused.page is not None
    assert refused.page.parent == tmp_path / "validations" / "headline_tickers"
    listed = runs(tmp_path)
    assert [run.checked_at for run in listed] == sorted(run.checked_at for run in listed)[::-1]
    assert [run.success for run in listed].count(False) == 1
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "4 validation runs, 1 refused" in index
    for run in listed:
        assert (tmp_path / run.href).is_file()
        assert run.href in index
    assert not list(tmp_path.rglob("*.partial"))


def test_no_page_asks_for_anything_outside_itself(tmp_path: Path) -> None:
    check("headline_tickers", tagged("a b"), batch="b", checked_at=NOW, docs_root=tmp_path)
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) == 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"https?://|<script|<link|<img|@import|url\(", text), page.name
        assert "Content-Security-Policy" in text


def test_hostile_values_are_shown_as_text(tmp_path: Path) -> None:
    report = check(
        "headline_tickers", tagged(ATTACK), batch=ATTACK, checked_at=NOW, docs_root=tmp_path
    )
    assert report.page is not None
    for page in tmp_path.rglob("*.html"):
        assert "<script" not in page.read_text(encoding="utf-8")
        assert "<img" not in page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert" in report.page.read_text(encoding="utf-8")


def test_the_page_of_the_same_run_has_the_same_bytes(tmp_path: Path) -> None:
    texts: list[bytes] = []
    for name in ("one", "two"):
        report = check(
            "headline_tickers", tagged("a b"), batch="b", checked_at=NOW, docs_root=tmp_path / name
        )
        assert report.page is not None
        texts.append(report.page.read_bytes())
    assert texts[0] == texts[1]


def test_headings_go_down_one_level_at_a_time(tmp_path: Path) -> None:
    check("headline_tickers", tagged("a b"), batch="b", checked_at=NOW, docs_root=tmp_path)
    for page in tmp_path.rglob("*.html"):
        levels = [int(level) for level in re.findall(r"<h([1-6])", page.read_text("utf-8"))]
        assert levels[0] == 1
        assert all(now - before <= 1 for before, now in pairwise(levels))
