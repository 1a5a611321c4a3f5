"""What strangers write reaches no artifact as a tag, a link or an instruction to the page."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.platform.display import LONGEST, IngestSummary, plain
from tests.builders.servers import asking

HOSTILE = (
    "<script>fetch('http://evil.example')</script>",
    "[Click](javascript:alert(1)) ![x](https://evil.example/beacon.png)",
    "<img src=x onerror=alert(1)>\n\n# up\n| a | b |\u202e",
)


@given(st.text(max_size=900) | st.sampled_from(HOSTILE))
def test_nothing_active_is_left(text: str) -> None:
    line = plain(text)
    assert not set(line) & set("<>[]`|\n\r\x00\u202e")
    assert "://" not in line
    assert "javascript:" not in line.lower()
    assert len(line) <= LONGEST


def test_summary_of_an_ingest_is_inert() -> None:
    missing = tuple((text, text) for text in HOSTILE)
    shown = str(
        IngestSummary(start=date(2012, 1, 3), end=date(2012, 1, 3), missing=missing).table()
    )
    assert "<" not in shown
    assert "://" not in shown


@pytest.mark.slow
def test_refused_batch_shows_its_headlines_as_inert_text(prefect_runs: str, tmp_path: Path) -> None:
    from prefect import flow

    from flows.publish import _show_refusal
    from flows.settings import load_settings
    from validation.gate import CHECKS, CheckReport

    now = datetime(2012, 6, 4, tzinfo=UTC)
    rows = [
        {
            "check_id": str(at), "suite": "headlines", "batch": "b",
            "expectation": "title_is_clean", "success": False, "observed": text, "checked_at": now,
        }
        for at, text in enumerate(HOSTILE)
    ]  # fmt: skip
    results = pa.Table.from_pylist(rows, schema=CHECKS)
    report = CheckReport("headlines", "b", len(rows), False, results, None)
    settings = load_settings(overrides=[f"data_root={tmp_path}"])

    @flow(name="refuse")
    def refuse() -> None:
        _show_refusal(settings, HOSTILE[0], [report])

    refuse()
    asked = {"artifacts": {"key": {"any_": ["validation"]}}, "limit": 1, "sort": "CREATED_DESC"}
    with asking(prefect_runs, os.environ["PREFECT_API_AUTH_STRING"]) as server:
        (made,) = server.post("/artifacts/filter", json=asked).json()
    shown = f"{made['data']} {made['description']}"
    assert "title_is_clean" in shown
    assert "<" not in shown
    assert "javascript:" not in shown
    assert "://" not in shown
