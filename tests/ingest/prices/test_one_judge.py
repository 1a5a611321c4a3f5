"""One judge: what becomes of a bar depends neither on the file nor on the slice it comes in."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tasks.dataset.spec.clock import exchange_sessions
from tasks.ingest.prices.archive import PriceMapping, read_prices
from tasks.ingest.prices.surroundings import Surroundings
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.prices import publish_prices

NOW = datetime(2024, 6, 11, 12, tzinfo=UTC)
CALENDAR = exchange_sessions("XNYS", date(2024, 1, 2), date(2024, 6, 30))
DAYS = [day for day in CALENDAR["session"].to_pylist() if day <= date(2024, 4, 30)]
NAMES = ("ticker", "session", "open", "high", "low", "close", "volume")
SPOILT = {
    "pence": 100.0, "pounds": 0.01, "thousandfold": 1000.0, "repeat": 1.0, "repeat in singles": 1.0,
    "closed day": 1.0, "empty cell": 1.0,
}  # fmt: skip


def row(ticker: str, number: int) -> dict[str, Any]:
    """A quiet share; no two of its days are alike."""
    close = round(100 + 0.37 * number + 2.5 * (number % 3), 2)
    return {
        "ticker": ticker, "session": DAYS[number], "open": close, "high": round(close + 1.13, 2),
        "low": round(close - 0.87, 2), "close": round(close + 0.21, 2), "volume": 5000 + number,
    }  # fmt: skip


def spoilt(ticker: str, number: int, fault: str) -> dict[str, Any]:
    bar = row(ticker, number)
    if fault.startswith("repeat"):
        bar = row(ticker, number - 4) | {"session": bar["session"]}
    if fault == "repeat in singles":
        bar |= {name: single(bar[name]) for name in ("open", "high", "low", "close")}
    if fault == "closed day":
        bar["session"] = next(
            day
            for day in (date(2024, 1, 15), date(2024, 2, 19), date(2024, 3, 29))
            if day > DAYS[4]
        )
    if fault == "empty cell":
        bar["close"] = ""
    for name in ("open", "high", "low", "close"):
        if bar[name] != "" and SPOILT[fault] != 1.0:
            bar[name] = bar[name] * SPOILT[fault]
    return bar


def single(number: float) -> float:
    """The number as single precision keeps it."""
    found: float = struct.unpack("f", struct.pack("f", number))[0]
    return found


def import_file(
    lake: Lake, path: Path, rows: list[dict[str, Any]], batch_rows: int
) -> tuple[int, int, int]:
    """Rows kept, repeated and refused of a file of these rows."""
    lines = [",".join(str(bar[name]) for name in NAMES) for bar in rows]
    path.write_text("\n".join(["ticker,date,open,high,low,close,volume", *lines]) + "\n")
    beside = Surroundings("XNYS", {}, {"XNYS": CALENDAR}, lake.read)
    kept = repeated = refused = 0
    for batch in read_prices(
        path,
        PriceMapping(source="file", basis="session"),
        clock=lambda: NOW,
        land=Landing(path.parent / "landing").store,
        surroundings=beside,
        batch_rows=batch_rows,
    ):
        done = publish_prices(lake, batch, now=NOW)
        changed = done.bars_added + done.bars_revised
        kept += changed
        refused += batch.rejects.num_rows + done.bars_refused
        repeated += batch.bars.num_rows - changed - done.bars_refused
    return kept, repeated, refused


NUMBERS = iter(range(10_000))


@settings(
    max_examples=4,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking imports files for minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    faults=st.dictionaries(st.integers(8, 70), st.sampled_from(sorted(SPOILT)), max_size=6),
    cuts=st.lists(st.integers(8, 78), max_size=2, unique=True),
    batch_rows=st.sampled_from([19, 1000]),
)
def test_spoilt_bars_are_refused_however_an_archive_is_cut(
    lake: Lake, tmp_path: Path, faults: dict[int, str], cuts: list[int], batch_rows: int
) -> None:
    # A repeat of a bar that was refused repeats nothing.
    faults = {
        number: "pence" if fault.startswith("repeat") and number - 4 in faults else fault
        for number, fault in faults.items()
    }
    ticker = f"Q{next(NUMBERS)}"
    rows = [
        spoilt(ticker, number, faults[number]) if number in faults else row(ticker, number)
        for number in range(80)
    ]
    sound = [number for number in range(80) if number not in faults]
    sums = [
        import_file(lake, tmp_path / f"{ticker}.csv", rows[first:last], batch_rows)
        for first, last in pairwise([0, *sorted(cuts), 80])
    ]
    stored = lake.sql("SELECT session FROM bars WHERE ticker = $t ORDER BY session", {"t": ticker})
    assert stored["session"].to_pylist() == [DAYS[number] for number in sound]
    assert [sum(part) for part in zip(*sums, strict=True)] == [len(sound), 0, len(faults)]
    again = import_file(lake, tmp_path / f"{ticker}.csv", rows, 1000)
    assert again[0] == 0, "telling it again changes nothing"
    assert sum(again) == 80


@pytest.mark.parametrize("source", ["file", "other"], ids=["the same source", "another source"])
def test_numbers_that_differ_in_the_seventh_digit_are_equal(
    lake: Lake, tmp_path: Path, source: str
) -> None:
    rows = [row("NOISE", number) for number in range(20)]
    import_file(lake, tmp_path / "a.csv", rows, 1000)
    for bar in rows:
        bar.update({name: single(bar[name]) for name in ("open", "high", "low", "close")})
    lines = [
        ",".join(repr(bar[name]) if name != "session" else str(bar[name]) for name in NAMES[1:])
        for bar in rows
    ]
    path = tmp_path / "b.csv"
    path.write_text("\n".join(["date,open,high,low,close,volume", *lines]) + "\n")
    mapping = PriceMapping(source=source, basis="session", constants={"ticker": "NOISE"})
    land = Landing(tmp_path / "landing").store
    [batch] = read_prices(path, mapping, clock=lambda: NOW, land=land, calendar=CALENDAR)
    assert batch.bars.num_rows == 20
    done = publish_prices(lake, batch, now=NOW)
    assert (done.bars_added, done.bars_revised, done.bars_refused) == (0, 0, 0)
