"""For any clock and label rule, on four exchanges, no row's order of instants ever breaks.

The half year drawn from holds both changes of daylight saving, half days, New York's closure of
5 December 2018, Tokyo's ten-day holiday of 2019 and a lunar new year.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.checks.lookahead import ExampleAudit
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.clock import ClockSpec, exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec, LabelSpec
from tasks.dataset.spec.render import RenderSpec
from warehouse.lake import Lake

EXCHANGES = ("XNYS", "XLON", "XTKS", "XHKG")
FIRST, LAST = date(2018, 10, 20), date(2019, 5, 15)
MARGIN = timedelta(days=40)


@pytest.fixture(scope="module")
def markets(tmp_path_factory: pytest.TempPathFactory, filler_of, open_lake) -> Iterator[Lake]:
    """One ticker on each exchange, with news every 149 minutes, day and night."""
    root = tmp_path_factory.mktemp("markets")
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    instants = [start + timedelta(minutes=149 * step) for step in range(2000)]
    with open_lake(root) as lake:
        fill = filler_of(lake)
        for exchange in EXCHANGES:
            fill.listed(exchange, exchange)
            days = exchange_sessions(exchange, FIRST, LAST)["session"].to_pylist()
            fill.bars(exchange, [(day, 100.0, 100.0 + n % 7 - 3) for n, day in enumerate(days)])
            fill.news(exchange, [(at, "tick") for at in instants])
        refresh_examples(lake, DatasetSpec(), now=datetime(2019, 6, 1, tzinfo=UTC))
        yield lake


clocks = st.builds(
    ClockSpec,
    at=st.sampled_from(["open", "previous_close"]),
    lead=st.integers(0, 720).map(lambda minutes: timedelta(minutes=minutes)),
    bar_lag=st.integers(0, 120).map(lambda minutes: timedelta(minutes=minutes)),
)
rules = st.builds(
    LabelSpec, entry=st.sampled_from(["open", "previous_close"]), horizon=st.integers(1, 5)
)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(clock=clocks, rule=rules)
def test_every_headline_and_row_keeps_the_clock(markets, clock: ClockSpec, rule: LabelSpec) -> None:
    spec = DatasetSpec(clock=clock, label=rule, render=RenderSpec(max_headlines=1000))
    audit = ExampleAudit(markets, spec, seed=0)
    assert audit.gate() == []
    rows = markets.read("examples_derived").to_pylist()
    assert len(rows) > 400
    news = markets.sql("select headline_id, available_at from headlines").to_pylist()
    available = {row["headline_id"]: row["available_at"] for row in news}
    placed = {
        (row["ticker"], name): row["decision_ts"] for row in rows for name in row["headline_ids"]
    }
    decisions = {exchange: expected_decisions(exchange, clock) for exchange in EXCHANGES}
    for (ticker, name), decision in placed.items():
        at = available[name]
        assert decision == decisions[ticker][bisect_right(decisions[ticker], at)]
    for row in rows:
        assert row["max_input_available_at"] < row["decision_ts"] < row["label_end_ts"]
        assert row["label_start_ts"] < row["label_end_ts"]
        assert not spec.tradable or row["decision_ts"] <= row["label_start_ts"]


def expected_decisions(exchange: str, clock: ClockSpec) -> list[datetime]:
    """Every decision of the exchange, straight from its calendar, oldest first."""
    hours = exchange_sessions(exchange, FIRST - MARGIN, LAST + MARGIN).to_pylist()
    return [row["open_ts" if clock.at == "open" else "close_ts"] - clock.lead for row in hours]
