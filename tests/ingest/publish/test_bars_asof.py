"""As-of adjustment: properties that must hold for every history of splits and dividends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from math import isclose

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.lake.scratch import scratch
from warehouse.tables import schemas
from warehouse.tables.schemas import without

DAYS = [date(2020, 1, 1) + timedelta(days=day) for day in range(12)]
RECORDED = datetime(2020, 2, 1, tzinfo=UTC)
RATIOS = st.sampled_from([2.0, 3.0, 4.0, 7.0, 0.1, 1.5])


@dataclass(frozen=True)
class History:
    """True closes per share of the first day, and the actions along the way."""

    closes: tuple[float, ...]
    splits: tuple[tuple[int, float], ...]
    dividends: tuple[tuple[int, float], ...] = ()

    def shares(self, day: date) -> float:
        """Shares one first-day share has become by `day`."""
        product = 1.0
        for index, ratio in self.splits:
            product *= ratio if DAYS[index] <= day else 1.0
        return product

    def bars(self, basis: date | None = None) -> pa.Table:
        """Quotes on the basis of `basis`, or of each session."""
        rows = [
            {
                "ticker": "X",
                "session": day,
                **dict.fromkeys(
                    ("open", "high", "low", "close"), close / self.shares(basis or day)
                ),
                "volume": 1000,
                "basis_date": basis or day,
                "recorded_at": RECORDED,
                "vintage": 1,
            }
            for day, close in zip(DAYS, self.closes, strict=True)
        ]
        return pa.Table.from_pylist(rows, schema=BARS)

    def actions(self, basis: date | None = None) -> pa.Table:
        """The actions, dividends per share of `basis`, or of their own ex-date."""
        rows = [
            {"ticker": "X", "ex_date": DAYS[at], "kind": kind, "value": value, "basis_date": quoted}
            for kind, found in (("split", self.splits), ("dividend", self.dividends))
            for at, amount in found
            for quoted in [DAYS[at] if kind == "split" else basis or DAYS[at]]
            for value in [amount if kind == "split" else amount / self.shares(quoted)]
        ]
        return pa.Table.from_pylist(
            [row | {"recorded_at": RECORDED} for row in rows], schema=ACTIONS
        )


BARS = without(schemas.BARS, "vendor_adj_close", "source", "payload_id")
ACTIONS = without(schemas.ACTIONS, "source", "payload_id", "vintage")
SUPERSEDED = pa.field("superseded_at", pa.timestamp("us", tz="UTC"))

histories = st.builds(
    History,
    closes=st.lists(st.floats(5, 500), min_size=len(DAYS), max_size=len(DAYS)).map(tuple),
    splits=st.dictionaries(st.integers(1, len(DAYS) - 1), RATIOS, max_size=3).map(
        lambda found: tuple(sorted(found.items()))
    ),
    dividends=st.dictionaries(st.integers(1, len(DAYS) - 1), st.floats(0.01, 2), max_size=3).map(
        lambda found: tuple(sorted(found.items()))
    ),
)
days = st.sampled_from(DAYS)


def asof(
    bars: pa.Table,
    actions: pa.Table,
    day: date,
    *,
    revisions: pa.Table | None = None,
    known_at: datetime | None = None,
) -> dict[date, dict[str, float]]:
    with scratch() as engine:
        table = engine.read(
            "bars_asof",
            {"asof": day, "known_at": known_at},
            bars=bars,
            actions=actions,
            bar_revisions=revisions or BARS.append(SUPERSEDED).empty_table(),
            action_revisions=ACTIONS.append(SUPERSEDED).empty_table(),
        )
    return {row["session"]: row for row in table.to_pylist()}


def alike(one: dict[date, dict[str, float]], other: dict[date, dict[str, float]]) -> bool:
    return one.keys() == other.keys() and all(
        isclose(one[day][name], other[day][name], rel_tol=1e-9)
        for day in one
        for name in ("open", "close", "total_return_close")
    )


@settings(max_examples=15, deadline=None)
@given(histories, days, days)
def test_result_does_not_depend_on_the_basis_a_source_quotes(
    history: History, day: date, basis: date
) -> None:
    as_traded = asof(history.bars(), history.actions(), day)
    restated = asof(history.bars(basis), history.actions(basis), day)
    assert alike(as_traded, restated)


@settings(max_examples=15, deadline=None)
@given(histories, days)
def test_lookahead_nothing_after_the_date_changes_a_number(history: History, day: date) -> None:
    later = [at for at, known in enumerate(DAYS) if known > day]
    blind = replace(
        history,
        splits=tuple(pair for pair in history.splits if pair[0] not in later),
        dividends=tuple(pair for pair in history.dividends if pair[0] not in later),
    )
    # Bars quoted as traded: those up to `day` know nothing of what came later.
    known = history.bars().slice(0, len(DAYS) - len(later))
    assert asof(history.bars(), history.actions(), day) == asof(known, blind.actions(), day)


@settings(max_examples=15, deadline=None)
@given(histories, days)
def test_returns_between_sessions_are_the_true_ones(history: History, day: date) -> None:
    adjusted = asof(history.bars(), history.actions(), day)
    true = dict(zip(DAYS, history.closes, strict=True))
    for session, row in adjusted.items():
        grown = row["close"] / adjusted[DAYS[0]]["close"]
        assert isclose(grown, true[session] / true[DAYS[0]], rel_tol=1e-9)


@settings(max_examples=15, deadline=None)
@given(histories, days)
def test_total_return_step_pays_the_dividend_out(history: History, day: date) -> None:
    adjusted = asof(history.bars(), history.actions(), day)
    paid = {DAYS[at]: amount for at, amount in history.dividends}
    for before, session in pairwise(DAYS):
        if session in adjusted:
            step = adjusted[session]["total_return_close"] / adjusted[before]["total_return_close"]
            true = dict(zip(DAYS, history.closes, strict=True))
            expected = true[session] / (true[before] - paid.get(session, 0.0))
            assert isclose(step, expected, rel_tol=1e-8)


def test_quotes_of_the_date_itself_are_left_alone() -> None:
    history = History(tuple(float(day + 100) for day in range(12)), ((5, 4.0),), ((8, 1.0),))
    raw = history.bars()
    last = asof(raw, history.actions(), DAYS[-1])[DAYS[-1]]
    assert last["close"] == raw["close"].to_pylist()[-1] == last["total_return_close"]
    assert last["volume"] == 1000
    before = asof(raw, history.actions(), DAYS[-1])[DAYS[0]]
    assert before["close"] == 25.0
    assert before["volume"] == 4000


def test_vintage_known_at_an_instant_is_the_one_that_counts() -> None:
    history = History(tuple(float(day + 100) for day in range(12)), ())
    bars = history.bars()
    revised_at = datetime(2020, 3, 1, tzinfo=UTC)
    earlier = bars.slice(0, 1).append_column(SUPERSEDED, pa.array([revised_at]))
    corrected = bars.to_pylist()
    corrected[0] |= {"close": 111.0, "recorded_at": revised_at, "vintage": 2}
    current = pa.Table.from_pylist(corrected, schema=BARS)

    def first_close(known_at: datetime | None) -> float:
        found = asof(current, history.actions(), DAYS[-1], revisions=earlier, known_at=known_at)
        return found[DAYS[0]]["close"] if DAYS[0] in found else float("nan")

    assert first_close(None) == 111.0
    assert first_close(revised_at) == 111.0
    assert first_close(revised_at - timedelta(seconds=1)) == 100.0
    unseen = RECORDED - timedelta(days=1)
    assert not asof(current, history.actions(), DAYS[-1], revisions=earlier, known_at=unseen)


@pytest.mark.parametrize("basis", [None, DAYS[-1]])
def test_split_on_the_date_itself_counts(basis: date | None) -> None:
    history = History((100.0,) * 12, ((6, 2.0),))
    adjusted = asof(history.bars(basis), history.actions(), DAYS[6])
    assert {row["close"] for row in adjusted.values()} == {50.0}
