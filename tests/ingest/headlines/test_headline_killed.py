"""An import killed at any moment and run again leaves the tables of one that was not."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.builders.warehouse import bytes_below, lake_spec_below, wait_for_bytes
from warehouse.lake import Lake

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("NEWSVANE_KILLS", "5"))
LONGEST_WAIT = 900
SCRIPT = Path(__file__).with_name("headline_import_process.py")
REPOSITORY = Path(__file__).resolve().parents[3]
TABLES = ("headlines", "headline_tickers", "headline_revisions", "quarantine", "payloads")


def archive(path: Path) -> Path:
    """Four hundred rows: repeats, retellings, a few that must be rejected."""
    chance = random.Random(5)
    first = datetime(2020, 3, 2, tzinfo=UTC)
    titles = [f"Company {chance.randrange(40)} lifts its outlook for the year" for _ in range(400)]
    titles[7] = ""
    when = [first + timedelta(minutes=chance.randrange(20_000)) for _ in titles]
    symbols = [chance.choice(("AAPL", "IBM")) for _ in titles]
    pq.write_table(pa.table({"text": titles, "when": when, "symbol": symbols}), path)
    return path


def start(folder: Path, file: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(file)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def tables(folder: Path) -> dict[str, pa.Table]:
    with Lake.open(lake_spec_below(folder)) as lake:
        return {name: lake.sql(f"SELECT * FROM {name} ORDER BY ALL") for name in TABLES}


def test_killed_import_run_again_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    file = archive(tmp_path / "news.parquet")
    whole, broken = tmp_path / "whole", tmp_path / "killed"
    assert start(whole, file).wait(LONGEST_WAIT) == 0
    written = bytes_below(whole)
    expected = tables(whole)
    chance, killed = random.Random(11), 0
    for number in range(KILLS):
        process = start(broken, file)
        mark = int(written * (number + chance.random()) / KILLS)
        wait_for_bytes(broken, mark, lambda process=process: process.poll() is not None)
        process.kill()
        killed += process.wait(LONGEST_WAIT) != 0
    assert killed, "no import was killed before its end"
    assert start(broken, file).wait(LONGEST_WAIT) == 0
    found = tables(broken)
    assert expected["headlines"].num_rows > 300
    assert expected["quarantine"].num_rows == 1
    for name in TABLES:
        assert found[name].equals(expected[name]), name
