"""The fault matrix of the price source, against a vendor that commits each fault for real."""

from __future__ import annotations

from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any

import pyarrow.compute as pc
import pytest

from sandbox.faults import Fault
from tasks.ingest.http.retry import PatienceSpec
from warehouse.tables.batches import PriceBatch

START, END = date(2013, 2, 1), date(2013, 2, 28)
SESSIONS = 19
PAIR = ("IBM", "MSFT")
CHART = "/v8/finance/chart/IBM"


def faulty(kind: str, **scope: Any) -> Fault:
    return Fault(kind=kind, path=CHART, **scope)


def sessions_of(batch: PriceBatch, ticker: str) -> int:
    return int(pc.sum(pc.equal(batch.bars["ticker"], ticker)).as_py() or 0)


def only_ibm_fails(batch: PriceBatch) -> str:
    """The error of IBM, having checked that MSFT came through whole."""
    assert sessions_of(batch, "MSFT") == SESSIONS
    assert sessions_of(batch, "IBM") == 0
    [(ticker, error)] = batch.missing
    assert ticker == "IBM"
    return error


def only_reject(batch: PriceBatch) -> tuple[str, str]:
    """Key and reason of the one reject, having checked that every other bar came through."""
    assert batch.missing == ()
    assert sessions_of(batch, "MSFT") == SESSIONS
    assert sessions_of(batch, "IBM") == SESSIONS - 1
    [row] = batch.rejects.to_pylist()
    assert row["kind"] == "bar"
    assert row["payload_id"] in {payload.payload_id for payload in batch.payloads}
    return row["key"], row["reason"]


def test_rate_limit_without_retry_after_backs_off_and_recovers(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("rate_limited", times=2))
    assert batch.missing == ()
    assert sessions_of(batch, "IBM") == SESSIONS
    assert len(price_desk.waits) == 2
    assert 0.005 <= price_desk.waits[0] <= 0.015
    assert 0.010 <= price_desk.waits[1] <= 0.030


def test_rate_limit_with_retry_after_waits_as_asked(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("rate_limited", times=1, value=1))
    assert batch.missing == ()
    assert price_desk.waits == [1.0]


def test_retry_after_beyond_the_cap_is_capped(price_desk: Any) -> None:
    price_desk.fetch(PAIR, START, END, faulty("rate_limited", times=1, value=86400))
    assert price_desk.waits == [1.2]


def test_lasting_rate_limit_fails_one_ticker_alone(price_desk: Any) -> None:
    error = only_ibm_fails(price_desk.fetch(PAIR, START, END, faulty("rate_limited")))
    assert "Rate limited" in error


def test_server_error_is_retried(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("server_error", times=2))
    assert batch.missing == ()
    assert [payload.status for payload in batch.payloads] == [500, 500, 200, 200]


def test_lasting_server_error_fails_one_ticker_alone(price_desk: Any) -> None:
    only_ibm_fails(price_desk.fetch(PAIR, START, END, faulty("server_error")))


def test_reset_mid_body_is_retried(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("reset_mid_body", times=1))
    assert batch.missing == ()
    assert sessions_of(batch, "IBM") == SESSIONS


def test_lasting_reset_fails_one_ticker_alone(price_desk: Any) -> None:
    only_ibm_fails(price_desk.fetch(PAIR, START, END, faulty("reset_mid_body")))


def test_slow_drip_is_cut_off_by_the_total_timeout(price_desk: Any) -> None:
    patience = PatienceSpec(attempts=1)
    batch = price_desk.fetch(
        PAIR, START, END, faulty("slow_drip"), patience=patience, timeout=0.5, passes=1
    )
    assert "timed out" in only_ibm_fails(batch).lower()


def test_gzip_bomb_is_cut_off_at_the_body_limit(price_desk: Any) -> None:
    patience = PatienceSpec(attempts=1, body_limit=1 << 20)
    batch = price_desk.fetch(PAIR, START, END, faulty("gzip_bomb"), patience=patience)
    assert "more than 1048576 bytes" in only_ibm_fails(batch)


def test_html_page_instead_of_a_chart(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("html_page"))
    assert "JSONDecodeError" in only_ibm_fails(batch)
    assert any(payload.body.startswith(b"<!DOCTYPE") for payload in batch.payloads)


def test_truncated_answer(price_desk: Any) -> None:
    assert "JSONDecodeError" in only_ibm_fails(
        price_desk.fetch(PAIR, START, END, faulty("truncated"))
    )


@pytest.mark.parametrize("kind", ["redirect_metadata", "redirect_file"])
def test_redirect_away_from_the_vendor_is_refused(price_desk: Any, kind: str) -> None:
    assert "Refused to follow" in only_ibm_fails(price_desk.fetch(PAIR, START, END, faulty(kind)))


def test_endless_redirects_are_refused(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("redirect_loop"))
    assert "redirect more" in only_ibm_fails(batch)


def test_delisted_ticker(price_desk: Any) -> None:
    assert "delisted" in only_ibm_fails(price_desk.fetch(PAIR, START, END, faulty("delisted")))


def test_empty_frame_is_an_error_and_the_missing_ticker_is_asked_again(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("empty_frame", times=1))
    assert batch.missing == ()
    assert price_desk.charts_asked("IBM") == 2
    assert price_desk.charts_asked("MSFT") == 1


def test_lasting_empty_frame_is_never_taken_for_no_data(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("empty_frame"))
    only_ibm_fails(batch)
    assert batch.partitions.filter(pc.equal(batch.partitions["key"], "IBM"))[
        "state"
    ].to_pylist() == ["failed"]


def test_partial_answer_for_several_tickers_publishes_what_came(price_desk: Any) -> None:
    faults = [Fault(kind="empty_frame", ticker=ticker) for ticker in ("AAPL", "GOOG")]
    batch = price_desk.fetch(("AAPL", "FB", "GOOG", "IBM"), START, END, *faults)
    assert {ticker for ticker, _ in batch.missing} == {"AAPL", "GOOG"}
    assert set(batch.bars["ticker"].to_pylist()) == {"FB", "IBM"}
    assert batch.requested == ("AAPL", "FB", "GOOG", "IBM")


def test_nan_last_row(price_desk: Any) -> None:
    assert only_reject(price_desk.fetch(PAIR, START, END, faulty("nan_last_row"))) == (
        "IBM@2013-02-28",
        "price is null or NaN",
    )


def test_repeated_last_row_is_quarantined_and_one_copy_kept(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("repeated_last_row"))
    assert sessions_of(batch, "IBM") == SESSIONS
    assert batch.rejects.select(["key", "reason"]).to_pylist() == [
        {"key": "IBM@2013-02-28", "reason": "session is repeated"}
    ]


@pytest.mark.parametrize("session", [date(2013, 2, 1), date(2013, 2, 14), date(2013, 2, 28)])
def test_hundredfold_jump_spoils_its_own_bar_alone(price_desk: Any, session: date) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("jump_100x", session=session))
    assert only_reject(batch) == (f"IBM@{session}", "price jumps beyond the limit")


def test_unapplied_split(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("unapplied_split", session=date(2013, 2, 14)))
    assert only_reject(batch) == ("IBM@2013-02-14", "price jumps like an unapplied split")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("zero_price", "price is zero or negative"),
        ("negative_price", "price is zero or negative"),
        ("infinite_price", "price is infinite"),
        ("high_below_low", "high is below low"),
    ],
)
def test_impossible_price(price_desk: Any, kind: str, reason: str) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty(kind, session=date(2013, 2, 20)))
    assert only_reject(batch) == ("IBM@2013-02-20", reason)


def test_renamed_ticker_is_not_taken_for_the_one_asked(price_desk: Any) -> None:
    batch = price_desk.fetch(("META",), START, END)
    assert "META" in batch.missing[0][1]
    renamed = price_desk.ask(("META",), START, END, symbols={"META": "FB"})
    assert renamed.missing == ()
    assert set(renamed.bars["ticker"].to_pylist()) == {"META"}


def test_deadline_ends_the_run_and_says_so(price_desk: Any) -> None:
    patience = PatienceSpec(attempts=5, first_wait=0.5, longest_wait=60, deadline=2.0)
    batch = price_desk.fetch(PAIR, START, END, faulty("rate_limited", value=30), patience=patience)
    error = only_ibm_fails(batch)
    assert "deadline of 2 s" in error
    assert price_desk.waits == []


def test_retry_after_given_as_a_date_is_read_against_the_clock(price_desk: Any) -> None:
    from tasks.ingest.http.retry import Patience

    now = datetime(2013, 3, 1, 22, tzinfo=UTC)
    waits: list[float] = []
    patience = Patience(
        PatienceSpec(first_wait=0.01), clock=lambda: now, seed=0, sleep=waits.append
    )
    later = datetime(2013, 3, 1, 22, 0, 7, tzinfo=UTC)
    patience.wait(1, format_datetime(later, usegmt=True))
    patience.wait(1, "soon")
    assert waits[0] == 7.0
    assert waits[1] < 0.02


def test_rejected_bar_keeps_its_numbers_on_record(price_desk: Any) -> None:
    batch = price_desk.fetch(PAIR, START, END, faulty("negative_price"))
    record = batch.rejects["record"].to_pylist()[0]
    assert '"close":-1.0' in record
