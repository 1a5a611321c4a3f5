"""Prices through the real yfinance client: exactness, completeness, revisions, bounds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import pyarrow.compute as pc
import pytest

from tasks.ingest.http.retry import PriceLimits
from tasks.ingest.prices.fetch import PriceSourceError
from warehouse.storage.landing import Landing

START, END = date(2013, 2, 1), date(2013, 2, 28)
ALL = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


def test_bars_equal_the_vendors_numbers_to_the_last_bit(yahoo: Any) -> None:
    batch = yahoo.fetch(ALL, date(2000, 3, 1), date(2013, 3, 1))
    truth = yahoo.market.bars
    found = batch.bars.select(truth.column_names).cast(truth.schema)
    order = [("ticker", "ascending"), ("session", "ascending")]
    assert found.sort_by(order).equals(truth.sort_by(order))
    assert batch.rejects.num_rows == 0
    assert batch.missing == ()


def test_every_action_comes_through(yahoo: Any) -> None:
    batch = yahoo.fetch(ALL, date(2000, 3, 1), date(2013, 3, 1))
    truth = yahoo.market.actions
    order = [("ticker", "ascending"), ("ex_date", "ascending"), ("kind", "ascending")]
    found = batch.actions.select(truth.column_names).cast(truth.schema)
    assert found.sort_by(order).equals(truth.sort_by(order))


def test_one_chart_request_per_ticker_and_range(yahoo: Any) -> None:
    yahoo.fetch(ALL, date(2000, 3, 1), date(2013, 3, 1))
    assert [yahoo.charts_requested(ticker) for ticker in ALL] == [1, 1, 1, 1, 1]


def test_every_chart_answer_is_landed_without_the_crumb(yahoo: Any) -> None:
    batch = yahoo.fetch(("IBM", "NOPE"), START, END)
    landing = Landing(yahoo.folder / "landing")
    for payload in batch.payloads:
        assert landing.load(payload.payload_id) == payload.body
        assert "crumb" not in payload.url
    assert set(batch.bars["payload_id"].to_pylist()) == {batch.payloads[0].payload_id}
    assert {payload.status for payload in batch.payloads} == {200, 404}


def test_unknown_ticker_is_an_error_and_the_others_go_on(yahoo: Any) -> None:
    batch = yahoo.fetch(("IBM", "NOPE"), START, END)
    assert set(batch.bars["ticker"].to_pylist()) == {"IBM"}
    [(ticker, error)] = batch.missing
    assert ticker == "NOPE"
    assert "may be delisted" in error
    ledger = {row["key"]: row for row in batch.partitions.to_pylist()}
    assert ledger["IBM"]["state"] == "done"
    assert ledger["NOPE"]["state"] == "failed"
    assert ledger["NOPE"]["error"] == error


def test_unfinished_session_waits_in_quarantine(yahoo: Any) -> None:
    midday = datetime(2013, 2, 28, 17, tzinfo=UTC)
    batch = yahoo.fetch(("IBM",), START, END, now=midday)
    assert pc.max(batch.bars["session"]).as_py() == date(2013, 2, 27)
    assert batch.rejects.select(["key", "reason"]).to_pylist() == [
        {"key": "IBM@2013-02-28", "reason": "session is unfinished"}
    ]


def test_overlap_reads_recent_sessions_again(yahoo: Any) -> None:
    batch = yahoo.fetch(("IBM",), START, END, overlap_sessions=5)
    assert pc.min(batch.bars["session"]).as_py() == date(2013, 1, 25)
    assert batch.partitions["range_start"].to_pylist() == [START]
    assert batch.partitions["rows"].to_pylist() == [19]


def test_fetch_basis_is_the_exchange_date_of_the_fetch(yahoo: Any) -> None:
    late = datetime(2013, 3, 2, 1, 30, tzinfo=UTC)
    batch = yahoo.fetch(("IBM",), START, END, now=late, basis="fetch")
    assert set(batch.bars["basis_date"].to_pylist()) == {date(2013, 3, 1)}


def test_day_outside_the_exchange_calendar_is_quarantined(yahoo: Any) -> None:
    sessions = yahoo.calendar
    yahoo.calendar = sessions.filter(pc.not_equal(sessions["session"], date(2013, 2, 14)))
    batch = yahoo.fetch(("IBM",), START, END)
    assert batch.rejects.select(["key", "reason"]).to_pylist() == [
        {"key": "IBM@2013-02-14", "reason": "not a session of the exchange"}
    ]


def test_request_budget_ends_the_run_and_says_so(yahoo: Any) -> None:
    limits = PriceLimits(requests=6)
    batch = yahoo.fetch(ALL, START, END, limits=limits)
    assert len(yahoo.vendor.requests) == 6
    served = set(batch.bars["ticker"].to_pylist())
    assert {ticker for ticker, _ in batch.missing} == set(ALL) - served
    assert served
    assert all("budget of 6 requests" in error for _, error in batch.missing)


def test_repeated_fetch_asks_the_vendor_again(yahoo: Any) -> None:
    yahoo.fetch(("IBM",), START, END)
    yahoo.ask(("IBM",), (START, END))
    assert yahoo.charts_requested("IBM") == 2


def test_concurrent_fetches_never_mix_up_their_answers(yahoo: Any) -> None:
    yahoo.fetch(("IBM",), START, END)
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda ticker: yahoo.ask((ticker,), (START, END)), ALL))
    for ticker, batch in zip(ALL, batches, strict=True):
        assert set(batch.bars["ticker"].to_pylist()) == {ticker}
        assert batch.missing == ()
        assert [ticker in payload.url for payload in batch.payloads] == [True]


@pytest.mark.parametrize(
    ("tickers", "start", "end", "message"),
    [
        ((), START, END, "at least one ticker"),
        (("IBM", "IBM"), START, END, "each once"),
        (("IBM",), END, START, "is after end"),
        (("IBM",), date(1998, 2, 2), date(1998, 2, 3), "no session"),
    ],
)
def test_senseless_request_is_refused_before_any_is_sent(
    yahoo: Any, tickers: tuple[str, ...], start: date, end: date, message: str
) -> None:
    with pytest.raises(PriceSourceError, match=message):
        yahoo.fetch(tickers, start, end)
    assert yahoo.vendor.requests == ()


def test_failure_to_land_is_raised_not_blamed_on_the_ticker(yahoo: Any) -> None:
    (yahoo.folder / "landing").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="landing"):
        yahoo.fetch(("IBM",), START, END)
