"""Sessions: what is stored does not depend on who laid them out first, how often, or at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from datetime import UTC, date, datetime
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.publish import record_sessions
from tasks.dataset.spec.clock import CalendarError, calendar_version, calendar_years
from tasks.ingest.spec import UniverseSpec
from warehouse.lake import Lake, LakeSpec
from warehouse.tables.sessions import DateSpan, publish_sessions

STORED = "SELECT * FROM sessions ORDER BY exchange, session"
EARLY, LATE = (date(2012, 9, 4), date(2012, 10, 10)), (date(2012, 9, 25), date(2012, 10, 31))


def lake_in(folder: Path) -> Lake:
    return Lake.open(LakeSpec().placed_below(folder))


def weekdays(exchange: str, first: int, last: int) -> pa.Table:
    """A calendar that is quick to make: every day of two months a year is a session."""
    days = [
        date(year, month, day)
        for year in range(first, last + 1)
        for month in (1, 12)
        for day in range(1, 29 if month == 1 else 32)
    ]
    noon = pc.cast(pa.array(days, pa.date32()), pa.timestamp("us", tz="UTC"))
    return pa.table(
        {"exchange": [exchange] * len(days), "session": days, "open_ts": noon, "close_ts": noon}
    )


def laid_out(lake: Lake, requests: Iterable[tuple[str, DateSpan]]) -> pa.Table:
    for exchange, span in requests:
        publish_sessions(lake, {exchange: span}, weekdays, "1")
    return lake.sql(STORED)


days = st.dates(date(2009, 1, 1), date(2014, 12, 31))
spans = st.tuples(days, days).map(lambda pair: (min(pair), max(pair)))
requests = st.lists(st.tuples(st.sampled_from(["XNYS", "XLON"]), spans), min_size=1, max_size=4)


@settings(max_examples=8, deadline=None)
@given(requests.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))), st.data())
def test_stored_sessions_are_equal_whatever_the_order_and_number_of_writers(
    orders: tuple[list[tuple[str, DateSpan]], list[tuple[str, DateSpan]]], data: st.DataObject
) -> None:
    ordered, shuffled = orders
    again = data.draw(st.lists(st.sampled_from(ordered), max_size=2))
    found = []
    for order in (ordered, [*shuffled, *again]):
        with TemporaryDirectory() as folder, lake_in(Path(folder)) as lake:
            found.append(laid_out(lake, order))
    assert found[0].equals(found[1])
    for exchange in {exchange for exchange, _ in ordered}:
        mine = [span for name, span in ordered if name == exchange]
        first, last = min(span[0] for span in mine).year, max(span[1] for span in mine).year
        stored = found[0].filter(pc.equal(found[0]["exchange"], exchange))
        assert stored.drop_columns(["calendar_version"]).equals(
            weekdays(exchange, first, last).cast(stored.schema.remove(4))
        ), "whole years without a hole"
        assert set(stored["calendar_version"].to_pylist()) == {"1"}


@pytest.mark.parametrize("order", list(permutations([EARLY, LATE])))
def test_two_backfills_leave_the_same_sessions_whichever_comes_first(
    lake: Lake, order: tuple[DateSpan, DateSpan]
) -> None:
    for span in order:
        record_sessions(lake, UniverseSpec(), ("AAPL",), span, datetime(2012, 11, 9, tzinfo=UTC))
    stored = lake.sql(STORED)
    assert stored.drop_columns(["calendar_version"]).equals(
        calendar_years("XNYS", 2012, 2012).cast(stored.schema.remove(4))
    )
    assert set(stored["calendar_version"].to_pylist()) == {calendar_version()}


def _write(folder: str, exchange: str, span: DateSpan, times: int) -> None:
    with lake_in(Path(folder)) as lake:
        for back in range(times):
            earlier = (span[0].replace(year=span[0].year - back), span[1])
            publish_sessions(lake, {exchange: earlier}, weekdays, "1")


def test_writers_at_once_end_where_one_after_the_other_ends(tmp_path: Path) -> None:
    lake_in(tmp_path).close()
    start = multiprocessing.get_context("spawn")
    work = [("XNYS", EARLY, 3), ("XNYS", (date(2014, 1, 2), date(2014, 5, 1)), 2)]
    running = [start.Process(target=_write, args=(str(tmp_path), *each)) for each in work]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0, 0]
    with lake_in(tmp_path) as lake:
        stored = lake.sql(STORED)
    expected = weekdays("XNYS", 2010, 2014)
    assert stored.drop_columns(["calendar_version"]).equals(expected.cast(stored.schema.remove(4)))


def test_laying_out_what_is_stored_commits_nothing(lake: Lake) -> None:
    laid_out(lake, [("XNYS", EARLY)])
    before = lake.snapshot_id()
    laid_out(lake, [("XNYS", LATE), ("XNYS", EARLY)])
    assert lake.snapshot_id() == before


def test_another_release_replaces_every_session_and_names_itself(lake: Lake) -> None:
    laid_out(lake, [("XNYS", EARLY), ("XLON", EARLY)])

    def newer(exchange: str, first: int, last: int) -> pa.Table:
        """The last session of the year is gone."""
        return weekdays(exchange, first, last).slice(0, 58)

    publish_sessions(lake, {"XNYS": LATE}, newer, "2")
    counts = lake.sql(
        "SELECT exchange, calendar_version AS version, count(*) AS n FROM sessions"
        " GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    assert counts == [
        {"exchange": "XLON", "version": "1", "n": 59},
        {"exchange": "XNYS", "version": "2", "n": 58},
    ]


def test_sessions_of_earlier_releases_are_completed(lake: Lake) -> None:
    """Parts of a year, with a hole and without a version, as they used to be stored."""
    part = weekdays("XNYS", 2012, 2012).slice(3, 5)
    lake.transact(lambda tx: tx.append("sessions", part))
    assert laid_out(lake, [("XNYS", (date(2013, 2, 1), date(2013, 2, 2)))]).num_rows == 2 * 59


def test_years_are_cut_to_what_the_calendar_records() -> None:
    first = calendar_years("XSHG", 1990, 1991)["session"][0].as_py()
    assert first >= date(1990, 12, 3)
    with pytest.raises(CalendarError, match="No sessions of 'XSHG' from 1980-01-01"):
        calendar_years("XSHG", 1980, 1985)
