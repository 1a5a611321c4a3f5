"""The row rules on their own: what no vendor of the sandbox sends, and what must never be lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ingest.prices.validation import (
    CANDIDATES,
    NO_CALENDAR,
    PriceRules,
    validate_actions,
    validate_bars,
)
from warehouse.lake.scratch import scratch
from warehouse.tables.batches import ACTIONS, BARS

FIRST = date(2013, 2, 1)
NOW = datetime(2013, 6, 1, tzinfo=UTC)
NO_SPLITS = ACTIONS.empty_table()


def candidate(day: int, price: float, **changes: Any) -> dict[str, Any]:
    session = FIRST + timedelta(days=day)
    return {
        "ticker": "X", "session": session, "position": day, "open": price * 1.001,
        "high": price * 1.01, "low": price * 0.99, "close": price, "volume": 1000.0 + day,
        "vendor_adj_close": price, "basis_date": session, "payload_id": "p", "agrees": True,
    } | changes  # fmt: skip


def split(day: int, ratio: float) -> dict[str, Any]:
    ex_date = FIRST + timedelta(days=day)
    return {
        "ticker": "X", "ex_date": ex_date, "kind": "split", "value": ratio, "basis_date": ex_date,
        "source": "s", "payload_id": "p",
    }  # fmt: skip


def rejected(
    rows: list[dict[str, Any]], splits: list[dict[str, Any]] | None = None
) -> dict[str, str]:
    """Reason by session's day number; the rest were kept."""
    with scratch() as engine:
        bars, rejects = validate_bars(
            pa.Table.from_pylist(rows, schema=CANDIDATES),
            pa.Table.from_pylist(splits or [], schema=ACTIONS),
            NO_CALENDAR,
            PriceRules(),
            engine,
            source="s",
            now=NOW,
        )
    assert bars.num_rows + rejects.num_rows == len(rows)
    return dict(zip(rejects["key"].to_pylist(), rejects["reason"].to_pylist(), strict=True))


def key(day: int) -> str:
    return f"X@{FIRST + timedelta(days=day)}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"close": None}, "price is null or NaN"),
        ({"open": float("nan")}, "price is null or NaN"),
        ({"high": float("inf")}, "price is infinite"),
        ({"low": 0.0}, "price is zero or negative"),
        ({"high": 2e7}, "price is beyond that of any share"),
        ({"volume": None}, "volume is null or infinite"),
        ({"volume": float("inf")}, "volume is null or infinite"),
        ({"volume": 10.5}, "volume is not a whole number of shares"),
        ({"volume": -1.0}, "volume is not a whole number of shares"),
        ({"high": 90.0}, "high is below low"),
        ({"open": 150.0}, "open is outside low..high"),
        ({"close": 50.0}, "close is outside low..high"),
        ({"agrees": False}, "client altered or dropped this bar"),
        ({"basis_date": date(2012, 1, 1)}, "share basis lies before the session"),
    ],
)
def test_broken_bar_is_named_and_its_neighbours_kept(changes: dict[str, Any], reason: str) -> None:
    rows = [candidate(day, 100.0) for day in range(8)]
    rows[4] |= changes
    assert rejected(rows) == {key(4): reason}


@pytest.mark.parametrize("ticker", ["", "a b", "<script>", "TOOLONGTOBEASYMBOL"])
def test_text_that_is_no_symbol_is_no_ticker(ticker: str) -> None:
    assert rejected([candidate(0, 100.0, ticker=ticker)]) == {
        f"{ticker}@{FIRST}": "ticker is not a symbol"
    }


@pytest.mark.parametrize("ticker", ["BRK-B", "BRK.B", "^GSPC", "F", "0700.HK", "EURUSD=X"])
def test_real_symbols_are_tickers(ticker: str) -> None:
    assert rejected([candidate(0, 100.0, ticker=ticker)]) == {}


def test_bar_copied_to_the_next_session_is_a_repeat() -> None:
    rows = [candidate(day, 100.0 + day) for day in range(6)]
    rows.append(candidate(6, 105.0, volume=rows[-1]["volume"]))
    assert rejected(rows) == {key(6): "repeats the previous bar"}


def test_good_copy_of_a_session_survives_its_broken_twin() -> None:
    rows = [candidate(day, 100.0) for day in range(4)]
    rows[3] |= {"close": None}
    rows.append(candidate(3, 100.0, position=4))
    assert rejected(rows) == {key(3): "price is null or NaN"}


def test_flat_bar_of_a_thinly_traded_stock_may_repeat() -> None:
    flat = {"open": 9.62, "high": 9.62, "low": 9.62, "volume": 100.0}
    assert rejected([candidate(day, 9.62, **flat) for day in range(6)]) == {}


def test_reported_split_on_the_session_basis_is_no_jump() -> None:
    rows = [candidate(day, 100.0 if day < 4 else 50.0) for day in range(8)]
    assert rejected(rows, [split(4, 2.0)]) == {}


def test_reported_split_the_prices_do_not_show_is_unapplied() -> None:
    rows = [candidate(day, 100.0) for day in range(8)]
    assert rejected(rows, [split(4, 2.0)]) == {key(4): "price jumps like an unapplied split"}


def test_restated_prices_with_the_split_inside_are_kept() -> None:
    late = date(2013, 5, 1)
    rows = [candidate(day, 50.0, basis_date=late) for day in range(8)]
    assert rejected(rows, [split(4, 2.0)]) == {}


def test_crash_by_half_on_heavy_trading_is_kept() -> None:
    rows = [candidate(day, 100.0 if day < 4 else 50.0) for day in range(8)]
    rows[4]["volume"] = 20_000.0
    assert rejected(rows) == {}


def test_crash_that_is_no_usual_ratio_is_kept() -> None:
    rows = [candidate(day, 100.0 if day < 4 else 42.0) for day in range(8)]
    assert rejected(rows) == {}


def test_hundred_for_one_split_that_is_reported_is_no_unit_mistake() -> None:
    rows = [candidate(day, 5000.0 if day < 4 else 50.0) for day in range(8)]
    assert rejected(rows, [split(4, 100.0)]) == {}


def test_lasting_change_of_units_stops_being_a_jump() -> None:
    rows = [candidate(day, 100.0 if day < 6 else 10_000.0) for day in range(20)]
    assert set(rejected(rows)) == {key(6), key(7), key(8)}


def test_context_of_an_earlier_batch_reveals_a_jump_at_the_boundary() -> None:
    rows = [candidate(day, 100.0) for day in range(5)]
    with scratch() as engine:
        known, _ = validate_bars(
            pa.Table.from_pylist(rows, schema=CANDIDATES),
            NO_SPLITS, NO_CALENDAR, PriceRules(), engine, source="s", now=NOW,
        )  # fmt: skip
        bars, rejects = validate_bars(
            pa.Table.from_pylist([candidate(5, 10_000.0)], schema=CANDIDATES),
            NO_SPLITS, NO_CALENDAR, PriceRules(), engine, source="s", now=NOW, context=known,
        )  # fmt: skip
    assert bars.num_rows == 0
    assert rejects["reason"].to_pylist() == ["price jumps beyond the limit"]


@pytest.mark.parametrize(
    ("value", "kind", "reason"),
    [
        (-0.5, "dividend", "value is zero or negative"),
        (float("nan"), "dividend", "value is null or infinite"),
        (float("inf"), "split", "value is null or infinite"),
        (2e5, "dividend", "value is beyond that of any action"),
        (5000.0, "split", "split ratio is beyond 1000:1"),
    ],
)
def test_impossible_action_is_named(value: float, kind: str, reason: str) -> None:
    table = pa.Table.from_pylist([split(4, value) | {"kind": kind}], schema=ACTIONS)
    table = table.append_column("foreign", pa.array([False]))
    with scratch() as engine:
        good, bad = validate_actions(
            table, NO_CALENDAR, BARS.empty_table(), NO_SPLITS, PriceRules(), engine
        )
    assert good.num_rows == 0
    assert bad["reason"].to_pylist() == [reason]
    assert bad["key"].to_pylist() == [f"X@2013-02-05@{kind}"]


numbers = st.one_of(
    st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0.01, 1000)
)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), *[numbers] * 5), max_size=12))
def test_whatever_comes_every_bar_is_kept_or_named_once(rows: list[tuple[Any, ...]]) -> None:
    candidates = [
        candidate(
            day, 100.0, position=at, open=open_, high=high, low=low, close=close, volume=volume
        )
        for at, (day, open_, high, low, close, volume) in enumerate(rows)
    ]
    with scratch() as engine:
        bars, rejects = validate_bars(
            pa.Table.from_pylist(candidates, schema=CANDIDATES),
            NO_SPLITS, NO_CALENDAR, PriceRules(), engine, source="s", now=NOW,
        )  # fmt: skip
    assert bars.num_rows + rejects.num_rows == len(rows)
    assert len(set(bars["session"].to_pylist())) == bars.num_rows
    sane = pc.and_(
        pc.greater_equal(bars["close"], bars["low"]), pc.less_equal(bars["close"], bars["high"])
    )
    assert pc.all(sane, min_count=0).as_py()
