"""An import killed at any moment and run again leaves the tables of one that was not."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.lake import Lake, LakeSpec

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("NEWSVANE_KILLS", "5"))
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
    spec = LakeSpec(
        catalog=f"sqlite:{folder / 'catalog.sqlite'}",
        storage=str(folder / "lake"),
        lock=folder / "writer.lock",
    )
    with Lake.open(spec) as lake:
        return {name: lake.sql(f"SELECT * FROM {name} ORDER BY ALL") for name in TABLES}


def test_killed_import_run_again_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    file = archive(tmp_path / "news.parquet")
    whole = start(tmp_path / "whole", file)
    begun = time.monotonic()
    assert whole.wait(120) == 0
    lasted = time.monotonic() - begun
    expected = tables(tmp_path / "whole")
    chance, killed = random.Random(11), 0
    for number in range(KILLS):
        process = start(tmp_path / "killed", file)
        time.sleep(lasted * (number + chance.random()) / KILLS)
        process.kill()
        killed += process.wait(120) != 0
    assert killed, "no import lasted long enough to be killed"
    assert start(tmp_path / "killed", file).wait(120) == 0
    found = tables(tmp_path / "killed")
    assert expected["headlines"].num_rows > 300
    assert expected["quarantine"].num_rows == 1
    for name in TABLES:
        assert found[name].equals(expected[name]), name
