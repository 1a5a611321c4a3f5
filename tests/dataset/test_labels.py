"""Label rules, on prices small enough to divide by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.dataset.build import lay_out_sessions
from tasks.dataset.spec.clock import ClockSpec
from tasks.dataset.spec.dataset import DatasetSpec, LabelSpec
from warehouse.lake import Lake
from warehouse.tables.examples import derive_examples

NOW = datetime(2019, 3, 20, tzinfo=UTC)
AT_OPEN = ClockSpec()
MON, TUE, WED, THU, FRI = (date(2019, 3, day) for day in (4, 5, 6, 7, 8))


def labels(
    lake: Lake, rule: LabelSpec, clock: ClockSpec = AT_OPEN, tickers: tuple[str, ...] | None = None
) -> dict[date, Any]:
    spec = DatasetSpec(tickers=tickers, label=rule, clock=clock, min_headlines=0)
    lay_out_sessions(lake, spec, NOW)
    derive_examples(lake, spec.sql_parameters())
    return {row["session"]: row for row in lake.read("examples_derived").to_pylist()}


def outcomes(rows: dict[date, Any]) -> dict[date, str]:
    return {day: row["label"] or row["label_reason"] for day, row in sorted(rows.items())}


def test_open_to_close_and_previous_close_are_different_questions(lake, fill) -> None:
    fill.bars("AAA", [(MON, 100, 100), (TUE, 110, 105), (WED, 105, 110)])
    opened = labels(lake, LabelSpec())
    assert outcomes(opened) == {MON: "unchanged", TUE: "down", WED: "up", THU: "pending"}
    assert opened[TUE]["label_return"] == pytest.approx(105 / 110 - 1, abs=1e-10)
    closed = labels(lake, LabelSpec(entry="previous_close"))
    assert outcomes(closed) == {MON: "missing_bar", TUE: "up", WED: "up", THU: "pending"}
    assert closed[TUE]["label_return"] == pytest.approx(0.05, abs=1e-10)


def test_untradable_rule_starts_before_the_decision_and_says_so(lake, fill) -> None:
    fill.bars("AAA", [(MON, 100, 100), (TUE, 110, 105)])
    rule = LabelSpec(entry="previous_close")
    row = labels(lake, rule)[TUE]
    assert row["label_start_ts"] < row["decision_ts"] < row["label_end_ts"]
    assert not DatasetSpec(label=rule).tradable
    early = ClockSpec(at="previous_close")
    row = labels(lake, rule, early)[TUE]
    assert row["decision_ts"] < row["label_start_ts"] < row["label_end_ts"]
    assert DatasetSpec(label=rule, clock=early).tradable


def test_dead_band_bounds_fall_on_the_documented_side(lake, fill) -> None:
    fill.bars("AAA", [(MON, 1000, 995), (TUE, 1000, 1005.5), (WED, 1000, 1005.6), (THU, 1000, 996)])
    rows = labels(lake, LabelSpec(dead_band=(-0.005, 0.0055)))
    assert outcomes(rows) == {
        MON: "down", TUE: "dead_band", WED: "up", THU: "dead_band", FRI: "pending"
    }  # fmt: skip


def test_horizon_spans_sessions_and_waits_for_the_last(lake, fill) -> None:
    fill.bars("AAA", [(MON, 100, 90), (TUE, 90, 95), (WED, 95, 120), (THU, 120, 100)])
    rows = labels(lake, LabelSpec(horizon=3))
    assert outcomes(rows) == {MON: "up", TUE: "up", WED: "pending", THU: "pending", FRI: "pending"}
    assert rows[MON]["label_return"] == pytest.approx(0.2)
    assert rows[MON]["label_end_ts"] == datetime(2019, 3, 6, 21, tzinfo=UTC)


def test_missing_halted_and_unfinished_sessions_get_no_label(lake, fill) -> None:
    fill.bars("AAA", [(MON, 100, 101), (FRI, 100, 101)])
    fill.bars("AAA", [(WED, 100, 101)], volume=0)
    fill.bars("AAA", [(THU, 100, 101)], recorded=datetime(2019, 3, 7, 18, tzinfo=UTC))
    rows = outcomes(labels(lake, LabelSpec()))
    assert [rows[day] for day in (MON, TUE, WED, THU, FRI)] == [
        "up", "missing_bar", "halted", "unfinished", "up"
    ]  # fmt: skip


def test_volume_that_begins_late_halts_a_share_that_does_not_trade_yet_but_no_index(
    lake, fill
) -> None:
    """Both have no volume at first: the share repeats one price, the index moves."""
    fill.bars("AAA", [(MON, 100, 100), (TUE, 100, 100)], volume=0)
    fill.bars("IDX", [(MON, 100, 101), (TUE, 101, 103)], volume=0)
    for ticker in ("AAA", "IDX"):
        fill.bars(ticker, [(WED, 100, 101), (THU, 100, 101)])
    rows = {
        ticker: outcomes(labels(lake, LabelSpec(), tickers=(ticker,))) for ticker in ("AAA", "IDX")
    }
    assert [rows["AAA"][day] for day in (MON, TUE, WED)] == ["halted", "halted", "up"]
    assert [rows["IDX"][day] for day in (MON, TUE, WED)] == ["up"] * 3


@pytest.mark.parametrize("basis", [None, date(2019, 3, 20)], ids=["unadjusted", "restated"])
def test_recorded_split_is_carried_over_on_either_share_basis(lake, fill, basis) -> None:
    scale = 1.0 if basis is None else 0.5
    fill.bars("AAA", [(MON, 100 * scale, 100 * scale)], basis=basis)
    fill.bars("AAA", [(TUE, 50, 51)], basis=basis)
    fill.split("AAA", TUE, 2.0)
    rows = labels(lake, LabelSpec(entry="previous_close"))
    assert rows[TUE]["label_return"] == pytest.approx(0.02)
    dropped = labels(lake, LabelSpec(entry="previous_close", across_split="drop"))
    assert dropped[TUE]["label_reason"] == "split_in_window"


def test_unexplained_split_gets_no_label(lake, fill) -> None:
    fill.bars("AAA", [(MON, 100, 100), (TUE, 50, 51), (WED, 51, 52)])
    rows = labels(lake, LabelSpec(entry="previous_close"))
    assert outcomes(rows) == {
        MON: "missing_bar",
        TUE: "unexplained_split",
        WED: "up",
        THU: "pending",
    }
    assert labels(lake, LabelSpec())[TUE]["label"] == "up"


def test_vendor_adjusted_rule_takes_the_adjusted_close_at_both_ends(lake, fill) -> None:
    fill.bars("AAA", [(MON, 100, 100)], adjusted=0.9)
    fill.bars("AAA", [(TUE, 100, 95)], adjusted=1.0)
    rule = LabelSpec(entry="previous_close", basis="vendor_adjusted")
    assert labels(lake, rule)[TUE]["label_return"] == pytest.approx(95 / 90 - 1, abs=1e-10)


def test_previous_return_is_the_last_window_finished_before_the_decision(lake, fill) -> None:
    fill.bars("AAA", [(MON, 100, 110), (TUE, 100, 80), (WED, 100, 150), (THU, 100, 101)])
    rows = labels(lake, LabelSpec())
    assert [rows[day]["previous_return"] for day in (MON, TUE, WED, THU, FRI)] == [
        None, 0.1, -0.2, 0.5, 0.01
    ]  # fmt: skip
    at_close = labels(lake, LabelSpec(), ClockSpec(at="previous_close"))
    assert [at_close[day]["previous_return"] for day in (WED, THU)] == [0.1, -0.2]
    two = labels(lake, LabelSpec(horizon=2))
    assert two[THU]["previous_return"] == two[TUE]["label_return"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "wrong", [{"horizon": 0}, {"dead_band": (0.01, 0.02)}, {"dead_band": (-2, 0)}, {"exit": "open"}]
)
def test_impossible_rule_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LabelSpec(**wrong)


def test_benchmark_is_subtracted_over_the_same_window(lake, fill) -> None:
    fill.bars("AAA", [(MON, 100, 103), (TUE, 100, 103), (WED, 100, 103)])
    fill.bars("SPY", [(MON, 100, 101), (TUE, 100, 105)])
    spec = DatasetSpec(tickers=("AAA",), label=LabelSpec(benchmark="SPY"), min_headlines=0)
    lay_out_sessions(lake, spec, NOW)
    derive_examples(lake, spec.sql_parameters())
    rows = {row["session"]: row for row in lake.read("examples_derived").to_pylist()}
    assert outcomes(rows) == {MON: "up", TUE: "down", WED: "missing_benchmark", THU: "pending"}
    assert rows[TUE]["label_return"] == pytest.approx(-0.02)
    assert {row["ticker"] for row in rows.values()} == {"AAA"}


DAYS = tuple(date(2019, 3, day) for day in (4, 5, 6, 7, 8, 11, 12, 13, 14, 15))


@given(
    ratio=st.sampled_from([1.5, 2.0, 3.0, 10.0, 1 / 2, 1 / 10, 1 / 20, 100.0, 1000.0, 1 / 100]),
    ex=st.integers(1, 8),
    holes=st.sets(st.integers(1, 8)),
    horizon=st.integers(2, 5),
    explained=st.booleans(),
    drift=st.floats(-0.003, 0.003),
)
@settings(max_examples=10, database=None, deadline=None)
def test_step_across_holes_gives_no_label_unless_a_split_explains_it(
    open_lake, filler_of, ratio, ex, holes, horizon, explained, drift
) -> None:
    def price(at: int) -> float:
        return 100 * (1 + drift) ** at / (ratio if at >= ex else 1)

    with TemporaryDirectory() as folder, open_lake(Path(folder)) as lake:
        fill = filler_of(lake)
        kept = [at for at in range(len(DAYS)) if at not in holes]
        fill.bars("AAA", [(DAYS[at], price(at), price(at) * 1.001) for at in kept])
        if explained:
            fill.split("AAA", DAYS[ex], ratio)
        rows = labels(lake, LabelSpec(horizon=horizon))
    for at in range(len(DAYS) - horizon + 1):
        row, last = rows[DAYS[at]], at + horizon - 1
        if at in holes or last in holes:
            assert row["label_reason"] == "missing_bar"
        elif at < ex <= last and not explained:
            assert row["label_reason"] == "unexplained_split"
        else:
            honest = (1 + drift) ** (horizon - 1) * 1.001 - 1
            assert row["label_return"] == pytest.approx(honest, abs=1e-9)


@pytest.mark.parametrize("adjusted", [-0.08, 0.0, float("nan"), float("inf")])
def test_adjusted_close_that_is_no_price_gives_no_label(lake, fill, adjusted) -> None:
    fill.bars("AAA", [(MON, 100, 105), (TUE, 105, 100)], adjusted=adjusted)
    for entry in ("open", "previous_close"):
        rows = labels(lake, LabelSpec(entry=entry, basis="vendor_adjusted"))
        assert {rows[day]["label"] for day in (MON, TUE)} == {None}
    assert labels(lake, LabelSpec())[MON]["label"] == "up"


def test_change_of_unit_within_a_bar_is_no_return(lake, fill) -> None:
    fill.bars("AAA", [(MON, 100, 101), (TUE, 1.01, 102), (WED, 102, 103)])
    assert outcomes(labels(lake, LabelSpec()))[TUE] == "implausible_return"


def test_index_without_volume_serves_as_benchmark(lake, fill) -> None:
    fill.bars("AAA", [(MON, 100, 103), (TUE, 100, 103)])
    fill.bars("^IDX", [(MON, 1000, 1010), (TUE, 1000, 1040)], volume=0)
    rows = labels(lake, LabelSpec(benchmark="^IDX"), tickers=("AAA",))
    assert rows[MON]["label_return"] == pytest.approx(0.02)
    assert outcomes(rows)[TUE] == "down"


def test_windows_over_a_split_as_traded_end_right_or_without_label(lake, fill) -> None:
    days = [date(2005, 2, day) for day in (22, 23, 24, 25, 28)]
    days += [date(2005, 3, day) for day in (1, 2, 3)]
    quotes = [
        (86.3, 85.29), (86.69, 88.23), (88.48, 88.93), (89.62, 88.99), (44.68, 44.86),
        (44.99, 44.5), (44.25, 44.121), (44.34, 41.79),
    ]  # fmt: skip
    bars = [(day, *quote) for day, quote in zip(days, quotes, strict=True)]
    fill.bars("AAPL", [bar for bar in bars if bar[0] != date(2005, 2, 28)])
    assert {labels(lake, LabelSpec(horizon=5))[day]["label"] for day in days[1:4]} == {None}
    fill.split("AAPL", date(2005, 2, 28), 2.0)
    rows = labels(lake, LabelSpec(horizon=5))
    assert [round(100 * rows[day]["label_return"], 2) for day in days[1:4]] == [2.66, -0.27, -6.74]
    assert [rows[day]["label"] for day in days[1:4]] == ["up", "down", "down"]
