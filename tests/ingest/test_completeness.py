"""Done means complete: sessions that did not come are known, asked for again, and shown."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.platform.display import IngestSummary
from flows.publish import EVER
from sandbox.faults import Fault
from tasks.ingest.planning import (
    NEARBY,
    Request,
    first_known,
    incomplete_ranges,
    ledger_of,
    plan_requests,
    plan_retries,
)
from tasks.ingest.prices.coverage import TradingSpan, ledger_rows, trading_span, without_sessions
from tests.builders.rows import bars
from warehouse.lake import Lake
from warehouse.tables.batches import BARS, PARTITIONS, REJECTS, PriceBatch
from warehouse.tables.prices import publish_prices

START, END = date(2012, 12, 3), date(2013, 3, 1)
NOW = datetime(2013, 3, 1, 22, 30, tzinfo=UTC)
EMPTY_AFTER = timedelta(hours=2)


def plan(
    lake: Lake, source: str, keys: Sequence[str], days: tuple[date, date], now: datetime
) -> list[Request]:
    """What the flows would ask for."""
    ledger = ledger_of(lake, source, now, NEARBY)
    return [
        *plan_requests(keys, days, ledger.answered, 10),
        *plan_retries(keys, days, ledger.due, 10, NEARBY),
    ]


def ledger(lake: Lake) -> dict[str, dict[str, Any]]:
    rows = lake.sql("SELECT * FROM partitions ORDER BY ALL").to_pylist()
    assert len(rows) == len({row["key"] for row in rows})
    return {row["key"]: row for row in rows}


def test_missing_sessions_are_known_and_asked_for_again_until_they_come(
    yahoo: Any, lake: Lake
) -> None:
    batch = yahoo.fetch(
        ("IBM", "MSFT"), START, END, Fault(kind="partial_frame", ticker="IBM", times=1)
    )
    publish_prices(lake, batch, now=NOW)
    rows = ledger(lake)
    assert {key: (row["state"], row["expected"]) for key, row in rows.items()} == {
        "IBM": ("partial", 61),
        "MSFT": ("done", 61),
    }
    assert (rows["IBM"]["received"], len(rows["IBM"]["missing"])) == (41, 20)
    [known] = incomplete_ranges(lake, "sandbox", None, (START, END))
    assert known.words == (
        "20 of 61 sessions are missing (2012-12-04…2013-02-27); "
        "asked for again from 2013-03-02 02:30 UTC"
    )
    pair, whole = ("IBM", "MSFT"), (START, END)
    assert plan(lake, "sandbox", pair, whole, NOW) == [], "not yet due, and MSFT is complete"

    later = NOW + timedelta(hours=4)
    [again] = plan(lake, "sandbox", pair, whole, later)
    assert again == Request(("IBM",), date(2012, 12, 4), date(2013, 2, 27))
    publish_prices(lake, yahoo.ask(again.keys, (again.start, again.end)), now=later)
    row = ledger(lake)["IBM"]
    assert (row["state"], row["rows"], row["missing"], row["retry_at"]) == ("done", 61, None, None)
    assert plan(lake, "sandbox", pair, whole, later + timedelta(days=99)) == []


def test_range_before_a_listing_is_empty_and_not_asked_for_every_night(
    yahoo: Any, lake: Lake
) -> None:
    days = (date(2012, 1, 3), date(2012, 5, 17))
    batch = yahoo.fetch(("FB", "IBM"), *days)
    assert batch.missing == ()
    publish_prices(lake, batch, now=NOW)
    row = ledger(lake)["FB"]
    assert (row["state"], row["rows"], row["received"], row["error"]) == ("empty", 0, 0, None)
    assert yahoo.charts_requested("FB") == 2, "the client asks twice for what is refused, we do not"
    pair = ("FB", "IBM")
    assert plan(lake, "sandbox", pair, days, NOW) == []
    later = NOW + timedelta(days=99)
    assert plan(lake, "sandbox", pair, days, later) == [Request(("FB",), *days)], "now and then"
    publish_prices(lake, yahoo.ask(("FB",), (START, END)), now=NOW)
    assert plan(lake, "sandbox", pair, days, later) == [], "its first bar explains it"


def test_range_around_a_listing_expects_nothing_from_before_it(yahoo: Any) -> None:
    batch = yahoo.fetch(("FB",), date(2012, 1, 3), END)
    [row] = batch.partitions.to_pylist()
    assert (row["state"], row["expected"], row["received"]) == ("done", 196, 196)


def test_range_without_a_session_is_empty_and_costs_no_request(yahoo: Any) -> None:
    batch = yahoo.fetch(("IBM",), date(2013, 2, 2), date(2013, 2, 3))
    assert [row["state"] for row in batch.partitions.to_pylist()] == ["empty"]
    assert yahoo.vendor.requests == ()


def test_bar_that_comes_late_is_missing_until_it_does(yahoo: Any, lake: Lake) -> None:
    friday = date(2013, 3, 1)
    early = datetime(2013, 3, 1, 12, tzinfo=UTC)
    batch = yahoo.fetch(("IBM",), friday, friday, now=early, overlap_sessions=3)
    publish_prices(lake, batch, now=early)
    row = ledger(lake)["IBM"]
    assert row["missing"] == [friday], "bars of the overlap are none of the range"
    assert row["retry_at"] - early == timedelta(hours=4)
    waits = []
    for _ in range(3):
        moment = row["retry_at"]
        publish_prices(lake, yahoo.ask(("IBM",), (friday, friday), now=early), now=moment)
        row = ledger(lake)["IBM"]
        waits.append((row["retry_at"] - moment) / timedelta(hours=1))
    assert waits == [8, 16, 32], "with growing patience"
    publish_prices(lake, yahoo.fetch(("IBM",), friday, friday), now=NOW)
    assert ledger(lake)["IBM"]["state"] == "done"


def test_quarantined_bar_has_come_and_is_not_asked_for_again(yahoo: Any, lake: Lake) -> None:
    bad = Fault(kind="high_below_low", ticker="IBM", session=date(2013, 2, 20))
    publish_prices(lake, yahoo.fetch(("IBM",), START, END, bad), now=NOW)
    row = ledger(lake)["IBM"]
    assert (row["state"], row["expected"], row["received"], row["rows"]) == ("done", 61, 61, 60)
    found = lake.read("sources_check", {"now": NOW, "stale_after": EMPTY_AFTER}).to_pylist()
    assert [(one["ranges"], one["quarantined"]) for one in found] == [("1 done", 1)]


def test_vendor_that_has_nothing_there_and_says_no_more_is_believed_for_a_while(lake: Lake) -> None:
    body = (
        b'{"chart":{"result":null,"error":{"code":"Bad Request","description":'
        b'"Data doesn\'t exist for startDate = 946702800, endDate = 978325200"}}}'
    )
    span = trading_span(body, "FB", "America/New_York")
    before = (date(2000, 1, 3), date(2000, 12, 29))
    assert span == TradingSpan(vacant=True)
    assert span.lies_outside(*before, today=END)
    assert span.beginning(date(2012, 5, 18)).lies_outside(*before, today=END)
    assert not span.beginning(date(1999, 5, 18)).lies_outside(*before, today=END), "a hole"
    unknown = ledger_answer("NEW") | {"vacant": True}
    publish_prices(lake, answered([unknown], BARS.empty_table(), before), now=NOW)
    assert ledger(lake)["NEW"]["state"] == "empty"
    assert plan(lake, "vendor", ("NEW",), before, NOW) == []
    assert len(plan(lake, "vendor", ("NEW",), before, NOW + timedelta(hours=4))) == 1


def test_ticker_that_stopped_trading_is_complete_once_that_is_certain() -> None:
    last = date(2012, 12, 14)
    traded = market("GONE", [day for day in SESSIONS if day <= last])
    answer = ledger_answer("GONE") | {"last_traded": last}
    rows = {
        today: answered([answer], traded, (START, END), today=today).partitions.to_pylist()[0]
        for today in (date(2012, 12, 20), END)
    }
    assert rows[END]["state"] == "done"
    assert rows[date(2012, 12, 20)]["state"] == "partial", "its bars may only be late"


def test_archive_that_fills_a_hole_makes_the_range_done(lake: Lake) -> None:
    some, rest = SESSIONS[::2], SESSIONS[1::2]
    publish_prices(lake, answered([ledger_answer("A")], market("A", some), (START, END)), now=NOW)
    assert ledger(lake)["A"]["state"] == "partial"
    file = {
        "source": "file", "key": "A", "range_start": rest[0], "range_end": rest[-1],
        "state": "done", "rows": len(rest),
    }  # fmt: skip
    archive = PriceBatch(
        bars=market("A", rest, source="file"),
        partitions=pa.Table.from_pylist([file], schema=PARTITIONS),
    )
    publish_prices(lake, archive, now=NOW)
    states = lake.sql("SELECT source, state, rows FROM partitions ORDER BY source").to_pylist()
    assert states == [
        {"source": "file", "state": "done", "rows": len(rest)},
        {"source": "vendor", "state": "done", "rows": len(SESSIONS)},
    ]


def test_patience_ends_at_a_week(lake: Lake) -> None:
    query = "SELECT next_attempt($now::TIMESTAMPTZ, n) AS at FROM (VALUES (7), (99)) AS t (n)"
    moments = lake.sql(query, {"now": NOW})["at"].to_pylist()
    assert [moment - NOW for moment in moments] == [timedelta(hours=166)] * 2


def test_failed_second_try_keeps_what_is_known_to_be_missing(lake: Lake) -> None:
    publish_prices(
        lake, answered([ledger_answer("A")], market("A", SESSIONS[:-3]), (START, END)), now=NOW
    )
    failed = ledger_answer("A") | {"error": "HTTP 500"}
    for days in ((START, END), (SESSIONS[-3], END)):
        publish_prices(lake, answered([failed], BARS.empty_table(), days), now=NOW)
    row = ledger(lake)["A"]
    assert (row["state"], row["attempts"], row["missing"]) == ("partial", 3, SESSIONS[-3:])


def test_failure_that_later_answers_cover_is_forgotten(lake: Lake) -> None:
    failed = ledger_answer("A") | {"error": "HTTP 500"}
    first = (START, SESSIONS[20])
    publish_prices(lake, answered([failed], BARS.empty_table(), first), now=NOW)
    assert ledger(lake)["A"]["state"] == "failed"
    whole = answered([ledger_answer("A")], market("A", SESSIONS), (START, END))
    publish_prices(lake, whole, now=NOW)
    assert ledger(lake)["A"]["state"] == "done"


def test_holes_of_many_tickers_take_a_few_requests() -> None:
    keys = [f"T{number:03}" for number in range(200)]
    holes = {
        key: [(day, day) for day in SESSIONS[at % 7 :: 9]] for at, key in enumerate(keys) if at % 2
    }
    requests = plan_retries(keys, (START, END), holes, 10, NEARBY)
    assert len(requests) == 10, "a hundred tickers with holes, ten to a request"
    assert sorted(key for request in requests for key in request.keys) == sorted(holes)


def test_what_came_in_part_is_told_apart_from_what_did_not_come() -> None:
    summary = IngestSummary(
        start=START, end=END, missing=(("NOPE", "unknown"),), partial=(("IBM", "20 missing"),)
    )
    assert [row["what"] for row in summary.table()[-2:]] == ["missing: NOPE", "partial: IBM"]
    with pytest.raises(RuntimeError, match=r"1 of what .* could not be had.*NOPE.*IBM"):
        summary.require_complete()
    with pytest.raises(RuntimeError, match=r"came with something missing.*IBM: 20 missing"):
        summary.model_copy(update={"missing": ()}).require_complete()


SESSIONS = [
    day
    for number in range((END - START).days + 1)
    if (day := START + timedelta(days=number)).weekday() < 5
]
CALENDAR = pa.table({"session": pa.array(SESSIONS, pa.date32())})
NUMBERS = itertools.count()


def market(ticker: str, sessions: Sequence[date], source: str = "vendor") -> pa.Table:
    """Bars of a ticker; each session's numbers are the same whenever it comes."""
    close = np.array([100.0 + (day - START).days % 7 for day in sessions])
    volume = np.array([1000.0 + (day - START).days for day in sessions])
    made = bars(ticker, list(sessions), close, close, volume)
    named = pa.array([source] * len(close), pa.string())
    return made.set_column(made.schema.get_field_index("source"), BARS.field("source"), named)


def ledger_answer(ticker: str) -> dict[str, object]:
    return {
        "ticker": ticker, "listed": EVER, "last_traded": None, "first_known": None,
        "vacant": False, "payload_id": "p", "error": None,
    }  # fmt: skip


def answered(
    answers: list[dict[str, object]],
    found: pa.Table,
    days: tuple[date, date],
    today: date = END,
) -> PriceBatch:
    """A batch as `fetch_prices` makes it of these bars."""
    rows = ledger_rows(
        answers, found, REJECTS.empty_table(), CALENDAR, days, source="vendor", today=today
    )
    return PriceBatch(bars=found, partitions=rows)


@settings(
    max_examples=10,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    holes=st.lists(
        st.lists(st.sets(st.integers(0, len(SESSIONS) - 1), max_size=20), min_size=1, max_size=4),
        min_size=1,
        max_size=3,
    )
)
def test_whatever_is_left_out_is_asked_for_until_it_has_come(
    lake: Lake, holes: list[list[set[int]]]
) -> None:
    """Each of a few tickers has, for each answer, sessions that the vendor leaves out of it."""
    tickers = [f"X{next(NUMBERS)}" for _ in holes]
    left_out = {
        ticker: [{SESSIONS[at] for at in numbers} for numbers in rounds]
        for ticker, rounds in zip(tickers, holes, strict=True)
    }
    had: dict[str, set[date]] = {ticker: set() for ticker in tickers}
    now = NOW
    for turn in range(1 + max(map(len, holes))):
        requests = plan(lake, "vendor", tickers, (START, END), now)
        for request in requests:
            answer(lake, request, left_out, had, turn, now)
        check_ledger(lake, tickers, had)
        assert plan(lake, "vendor", tickers, (START, END), now) == []
        now += timedelta(days=8)
    assert plan(lake, "vendor", tickers, (START, END), now) == [], "all has come"
    assert all(days == set(SESSIONS) for days in had.values())


def answer(
    lake: Lake,
    request: Request,
    left_out: Mapping[str, list[set[date]]],
    had: dict[str, set[date]],
    turn: int,
    now: datetime,
) -> None:
    """Publish what the vendor has of a request, which must ask for something that is missing."""
    wanted = [day for day in SESSIONS if request.start <= day <= request.end]
    tables = []
    for key in request.keys:
        assert set(wanted) - had[key], "never asks for what it has"
        gone = left_out[key][turn] if turn < len(left_out[key]) else set()
        came = [day for day in wanted if day not in gone]
        had[key] |= set(came)
        tables.append(market(key, came))
    found = pa.concat_tables(tables)
    days = (request.start, request.end)
    publish_prices(
        lake, answered([ledger_answer(key) for key in request.keys], found, days), now=now
    )


def check_ledger(lake: Lake, tickers: Sequence[str], had: Mapping[str, set[date]]) -> None:
    known = first_known(lake, tickers)
    for row in lake.sql("SELECT * FROM partitions").to_pylist():
        if (key := row["key"]) in had:
            assert set(row["missing"] or ()) == set(SESSIONS) - had[key]
            assert row["received"] == row["rows"] == len(had[key]), row
            assert row["state"] == ("partial" if row["missing"] else "done")
            assert known.get(key) == min(had[key], default=None)


def test_resting_exchange_is_no_reason_to_ask() -> None:
    rows = without_sessions(("A", "B"), date(2013, 2, 2), date(2013, 2, 3), "vendor")
    assert rows.schema == PARTITIONS
    assert [(row["state"], row["again"]) for row in rows.to_pylist()] == [("empty", False)] * 2
