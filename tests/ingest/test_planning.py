"""A backfill asks for what is missing, all of it and nothing twice."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ingest.planning import PlanningError, check_range, missing_ranges, plan_requests

ORIGIN = date(2012, 1, 1)


def day(number: int) -> date:
    return ORIGIN + timedelta(days=number)


ranges = st.tuples(st.integers(0, 60), st.integers(0, 20)).map(
    lambda pair: (day(pair[0]), day(pair[0] + pair[1]))
)


def days_of(items: list[tuple[date, date]]) -> list[date]:
    return [
        first + timedelta(days=n) for first, last in items for n in range((last - first).days + 1)
    ]


@given(wanted=ranges, done=st.lists(ranges, max_size=6))
def test_gaps_and_done_cover_the_request_exactly_once(
    wanted: tuple[date, date], done: list[tuple[date, date]]
) -> None:
    gaps = days_of(missing_ranges(wanted, done))
    assert len(gaps) == len(set(gaps))
    assert set(gaps) == set(days_of([wanted])) - set(days_of(done))


def test_tickers_with_the_same_gap_share_requests() -> None:
    done = {"B": [(day(0), day(9))]}
    requests = plan_requests(["A", "B", "C", "D"], (day(0), day(19)), done, group_size=2)
    assert [(r.keys, r.start, r.end) for r in requests] == [
        (("A", "C"), day(0), day(19)),
        (("D",), day(0), day(19)),
        (("B",), day(10), day(19)),
    ]


def test_start_after_end_is_refused_in_words() -> None:
    with pytest.raises(PlanningError, match=r"starts at 2012-01-02 and ends at 2012-01-01"):
        check_range(day(1), day(0))
