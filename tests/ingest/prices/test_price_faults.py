"""The fault matrix of the price source, against a vendor that commits each fault for real."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any

import pyarrow.compute as pc
import pytest

from sandbox.faults import Fault
from tasks.ingest.http.retry import PriceLimits, RetryPolicy, TransientError
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


def test_rate_limit_without_retry_after_backs_off_and_recovers(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("rate_limited", times=2))
    assert batch.missing == ()
    assert sessions_of(batch, "IBM") == SESSIONS
    assert len(yahoo.waits) == 2
    assert 0.005 <= yahoo.waits[0] <= 0.015
    assert 0.010 <= yahoo.waits[1] <= 0.030


def test_rate_limit_with_retry_after_waits_as_asked(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("rate_limited", times=1, value=1))
    assert batch.missing == ()
    assert yahoo.waits == [1.0]


def test_retry_after_beyond_the_longest_wait_is_given_up_with_a_clear_error(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("rate_limited", value=86400))
    assert "asks to wait 86400 s, longer than the 1.2 s" in only_ibm_fails(batch)
    assert yahoo.waits == []


def test_server_error_is_retried(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("server_error", times=2))
    assert batch.missing == ()
    assert [payload.status for payload in batch.payloads] == [500, 500, 200, 200]


def test_reset_mid_body_is_retried(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("reset_mid_body", times=1))
    assert batch.missing == ()
    assert sessions_of(batch, "IBM") == SESSIONS


def test_slow_drip_is_cut_off_by_the_total_timeout(yahoo: Any) -> None:
    limits = PriceLimits(retry=RetryPolicy(attempts=1))
    batch = yahoo.fetch(PAIR, START, END, faulty("slow_drip"), limits=limits, timeout=3, passes=1)
    assert "timed out" in only_ibm_fails(batch).lower()


def test_gzip_bomb_is_cut_off_at_the_body_limit(yahoo: Any) -> None:
    limits = PriceLimits(retry=RetryPolicy(attempts=1), body_bytes=1 << 20)
    batch = yahoo.fetch(PAIR, START, END, faulty("gzip_bomb"), limits=limits)
    assert "more than 1048576 bytes" in only_ibm_fails(batch)


def test_html_page_instead_of_a_chart(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("html_page"))
    assert "JSONDecodeError" in only_ibm_fails(batch)
    assert any(payload.body.startswith(b"<!DOCTYPE") for payload in batch.payloads)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("rate_limited", "Rate limited"),
        ("server_error", ""),
        ("reset_mid_body", ""),
        ("truncated", "JSONDecodeError"),
        ("redirect_metadata", "Refused to follow"),
        ("redirect_file", "Refused to follow"),
        ("redirect_loop", "redirect more"),
        ("delisted", "delisted"),
    ],
)
def test_lasting_fault_fails_one_ticker_alone(yahoo: Any, kind: str, error: str) -> None:
    assert error in only_ibm_fails(yahoo.fetch(PAIR, START, END, faulty(kind)))


def test_empty_frame_is_an_error_and_the_missing_ticker_is_asked_again(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("empty_frame", times=1))
    assert batch.missing == ()
    assert yahoo.charts_requested("IBM") == 2
    assert yahoo.charts_requested("MSFT") == 1


def test_lasting_empty_frame_is_never_taken_for_no_data(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("empty_frame"))
    only_ibm_fails(batch)
    ledger = {row["key"]: row["state"] for row in batch.partitions.to_pylist()}
    assert ledger["IBM"] == "failed"


def test_partial_answer_for_several_tickers_publishes_what_came(yahoo: Any) -> None:
    faults = [Fault(kind="empty_frame", ticker=ticker) for ticker in ("AAPL", "GOOG")]
    batch = yahoo.fetch(("AAPL", "FB", "GOOG", "IBM"), START, END, *faults)
    assert {ticker for ticker, _ in batch.missing} == {"AAPL", "GOOG"}
    assert set(batch.bars["ticker"].to_pylist()) == {"FB", "IBM"}
    assert batch.requested == ("AAPL", "FB", "GOOG", "IBM")


def test_nan_last_row(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("nan_last_row"))
    assert only_reject(batch) == ("IBM@2013-02-28", "price is null or NaN")


def test_repeated_last_row_is_quarantined_and_one_copy_kept(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("repeated_last_row"))
    assert sessions_of(batch, "IBM") == SESSIONS
    assert batch.rejects.select(["key", "reason"]).to_pylist() == [
        {"key": "IBM@2013-02-28", "reason": "session is repeated"}
    ]


@pytest.mark.parametrize("session", [date(2013, 2, 1), date(2013, 2, 14), date(2013, 2, 28)])
def test_hundredfold_jump_spoils_its_own_bar_alone(yahoo: Any, session: date) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("jump_100x", session=session))
    assert only_reject(batch) == (f"IBM@{session}", "price jumps beyond the limit")


def test_unapplied_split(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("unapplied_split", session=date(2013, 2, 14)))
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
def test_impossible_price(yahoo: Any, kind: str, reason: str) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty(kind, session=date(2013, 2, 20)))
    assert only_reject(batch) == ("IBM@2013-02-20", reason)


def test_renamed_ticker_is_not_taken_for_the_one_asked(yahoo: Any) -> None:
    batch = yahoo.fetch(("META",), START, END)
    assert "META" in batch.missing[0][1]
    renamed = yahoo.ask(("META",), (START, END), symbols={"META": "FB"})
    assert renamed.missing == ()
    assert set(renamed.bars["ticker"].to_pylist()) == {"META"}


def test_deadline_ends_the_run_and_says_so(yahoo: Any) -> None:
    limits = PriceLimits(retry=RetryPolicy(first_wait=0.5), run_deadline=2.0)
    batch = yahoo.fetch(PAIR, START, END, faulty("rate_limited", value=30), limits=limits)
    error = only_ibm_fails(batch)
    assert "deadline of 2 s" in error
    assert yahoo.waits == []


def test_retry_after_given_as_a_date_is_read_against_the_clock() -> None:
    now = datetime(2013, 3, 1, 22, tzinfo=UTC)
    policy, jitter = RetryPolicy(first_wait=0.01), random.Random(0)
    later = format_datetime(datetime(2013, 3, 1, 22, 0, 7, tzinfo=UTC), usegmt=True)
    assert policy.wait(1, TransientError("busy", later), now, jitter) == 7.0
    assert policy.wait(1, TransientError("busy", "soon"), now, jitter) <= 0.01


def test_rejected_bar_keeps_its_numbers_on_record(yahoo: Any) -> None:
    batch = yahoo.fetch(PAIR, START, END, faulty("negative_price"))
    record = batch.rejects["record"].to_pylist()[0]
    assert '"close":-1.0' in record
