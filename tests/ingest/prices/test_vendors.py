"""Several vendors of one bar: the next one fills in, the best one counts, and both are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sandbox.chart import Quoting
from sandbox.faults import Fault, FaultPlan
from sandbox.market import Market
from sandbox.mortality import with_deaths
from sandbox.newswire import NewsSpec
from sandbox.spec import Death
from sandbox.vendor import SandboxVendor
from tasks.ingest.http.client import price_client
from tasks.ingest.http.retry import FetchError, PriceLimits, RetryPolicy
from tasks.ingest.prices.agreement import drift_alarms, vendors_check
from tasks.ingest.prices.fetch import fetch_prices
from tasks.ingest.prices.replay import replay_answers
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.surroundings import Surroundings
from tasks.ingest.prices.vendor import VendorLimitError
from tasks.ingest.prices.web_vendor import WebVendor, web_vendor
from tasks.ingest.prices.yahoo_transport import yahoo_session
from warehouse.lake import Lake
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import Landing
from warehouse.tables.batches import PriceBatch
from warehouse.tables.prices import PricePublication, publish_prices

START, END = date(2005, 2, 14), date(2005, 3, 11)
SPLIT = date(2005, 2, 28)
A_DAY = date(2005, 3, 2)
NOW = datetime(2005, 3, 11, 23, 0, tzinfo=UTC)
QUICK = PriceLimits(retry=RetryPolicy(attempts=2, first_wait=0.01, longest_wait=1.0))
YAHOO, STOOQ, TIINGO, ALPHA = "/v8/", "/q/d/l/", "/tiingo/", "/query"
TOKEN, KEY = "tiingo-token-4711", "alpha-key-0815"
KEYED = {
    "tiingo": {"kind": "tiingo", "key": "${TIINGO_TOKEN}"},
    "alpha_vantage": {"kind": "alpha_vantage", "key": "${ALPHA_KEY}"},
}


@dataclass
class Several:
    """Vendors on one loopback server, asked in order, and a warehouse that takes what they give."""

    folder: Path
    market: Market
    calendar: pa.Table
    lake: Lake
    stack: ExitStack
    spec: PriceSpec = field(default_factory=PriceSpec)
    vendor: SandboxVendor | None = None
    others: dict[str, WebVendor] = field(default_factory=dict)

    def fetch(
        self,
        *faults: Fault,
        vendors: tuple[str, ...] = ("yahoo", "stooq"),
        tickers: tuple[str, ...] = ("AAPL",),
        days: tuple[date, date] = (START, END),
        now: datetime = NOW,
        ended: Mapping[str, date] | None = None,
        **changes: Any,
    ) -> PriceBatch:
        """What the vendors give at `now` while they commit `faults`. Yahoo quotes as traded."""
        plan, quoting = FaultPlan.of(*faults), Quoting()
        self.vendor = self.stack.enter_context(
            SandboxVendor(self.market, NewsSpec(), now=lambda: now, faults=plan, quoting=quoting)
        )
        given = {"cache": self.folder / "yfinance", "basis": "session", "overlap_sessions": 5}
        named = [KEYED.get(name, name) for name in vendors]
        self.spec = PriceSpec.model_validate({**given, "vendors": named, **changes})
        url, waits = self.vendor.base_url, list[float]()
        with ExitStack() as stack:
            self.others = {
                one.name: web_vendor(
                    one,
                    self.spec.exchange_zone,
                    stack.enter_context(price_client(url, QUICK, 60.0, sleep=waits.append)),
                    lambda: now,
                )
                for one in self.spec.in_order
                if one.kind != "yahoo"
            }
            session = yahoo_session(url, QUICK, clock=lambda: now, sleep=waits.append)
            return fetch_prices(
                tickers,
                *days,
                self.spec,
                session=stack.enter_context(session),
                clock=lambda: now,
                land=Landing(self.folder / "landing").store,
                calendar=self.calendar,
                surroundings=Surroundings(read=self.lake.read),
                others=self.others,
                ended=ended,
            )

    def publish(self, batch: PriceBatch, now: datetime = NOW) -> PricePublication:
        return publish_prices(self.lake, batch, now=now)

    def asked(self, path: str) -> list[Any]:
        """The requests that one vendor got."""
        assert self.vendor is not None
        served = [one.request for one in self.vendor.requests]
        return [request for request in served if request.path.startswith(path)]

    def verdicts(self) -> dict[date, dict[str, Any]]:
        """The agreement on each session of AAPL in the range."""
        params = {"tolerance": self.spec.tolerance, "first": START, "last": END}
        rows = self.lake.read("bar_agreement", params).to_pylist()
        return {row["session"]: row for row in rows}

    def truth(self) -> dict[date, float]:
        """The closes of AAPL as traded."""
        bars = self.market.history("AAPL").bars()
        inside = pc.and_(
            pc.greater_equal(bars["session"], START), pc.less_equal(bars["session"], END)
        )
        bars = bars.filter(inside)
        return dict(zip(bars["session"].to_pylist(), bars["close"].to_pylist(), strict=True))


@pytest.fixture
def several(
    tmp_path: Path,
    bokeh: Market,
    exchange_calendar: pa.Table,
    lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Several]:
    monkeypatch.setenv("TIINGO_TOKEN", TOKEN)
    monkeypatch.setenv("ALPHA_KEY", KEY)
    with ExitStack() as stack:
        yield Several(tmp_path, bokeh, exchange_calendar, lake, stack)


def sources(table: pa.Table) -> dict[date, str]:
    """Who holds each session of the range."""
    rows = table.select(["session", "source"]).to_pylist()
    return {row["session"]: row["source"] for row in rows if row["session"] >= START}


def ledger(batch: PriceBatch) -> dict[tuple[str, str], str]:
    rows = batch.partitions.to_pylist()
    return {(row["source"], row["key"]): row["state"] for row in rows}


@pytest.mark.parametrize("name", ["stooq", "tiingo", "alpha_vantage"])
def test_every_dialect_gives_the_bars_of_the_market(several: Several, name: str) -> None:
    batch = several.fetch(vendors=(name,))
    assert batch.missing == ()
    assert {row["reason"] for row in batch.rejects.to_pylist()} <= {
        # Whoever tells no split cannot be followed across one.
        "price jumps like an unapplied split"
    }
    found = {
        row["session"]: row["close"] * (2.0 if name == "stooq" and row["session"] < SPLIT else 1.0)
        for row in batch.bars.to_pylist()
        if row["session"] >= START
    }
    expected = several.truth()
    if name == "alpha_vantage":
        assert expected.pop(SPLIT)
    assert found == pytest.approx(expected)
    splits = batch.actions.filter(pc.equal(batch.actions["kind"], "split")).to_pylist()
    told = {(row["ex_date"], row["value"]) for row in splits}
    assert told == ({(SPLIT, 2.0)} if name == "tiingo" else set())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(kind="server_error", path=YAHOO), "No usable bar"),
        (Fault(kind="rate_limited", path=YAHOO, value=9999), "longer than"),
        (Fault(kind="delisted", path=YAHOO), "delisted"),
        (Fault(kind="html_page", path=YAHOO), ""),
    ],
)
def test_next_vendor_fills_in_where_the_first_is_down_or_limited(
    several: Several, fault: Fault, words: str
) -> None:
    batch = several.fetch(fault)
    assert batch.missing == ()
    assert set(sources(batch.bars)) == set(several.truth())
    assert set(sources(batch.bars).values()) == {"stooq"}
    assert ledger(batch) == {("yahoo", "AAPL"): "failed", ("stooq", "AAPL"): "done"}
    [(ticker, note)] = batch.notes
    assert (ticker, words in note) == ("AAPL", True)
    assert f"stooq gave {len(several.truth())} bars that yahoo did not" in note


def test_next_vendor_fills_in_a_dead_name_that_the_first_has_forgotten(several: Several) -> None:
    """Else who ingests after a death has survivors only, and no word of the others."""
    died = date(2005, 2, 22)
    several.market = with_deaths(
        several.market, [Death(ticker="AAPL", on=died, manner="forgotten", decline=0)]
    )
    batch = several.fetch(ended={"AAPL": died})
    assert batch.missing == ()
    assert set(sources(batch.bars)) == {day for day in several.truth() if day < died}
    assert set(sources(batch.bars).values()) == {"stooq"}
    assert ledger(batch) == {("yahoo", "AAPL"): "empty", ("stooq", "AAPL"): "done"}
    (row,) = [row for row in batch.partitions.to_pylist() if row["source"] == "stooq"]
    assert row["missing"] is None, "Stooq names no last trade: its last bar is the end"


def test_only_what_the_first_vendor_lacks_is_asked_of_the_next(several: Several) -> None:
    refused = Fault(kind="jump_100x", path=YAHOO, session=date(2005, 3, 4))
    left_out = Fault(kind="missing_bar", path=YAHOO, session=A_DAY)
    batch = several.fetch(left_out, refused, tickers=("AAPL", "IBM"))
    held = {
        ticker: sources(batch.bars.filter(pc.equal(batch.bars["ticker"], ticker)))
        for ticker in ("AAPL", "IBM")
    }
    for ticker, rows in held.items():
        by_stooq = {day for day, source in rows.items() if source == "stooq"}
        assert by_stooq == {A_DAY, date(2005, 3, 4)}, ticker
        assert len(rows) == len(several.truth())
    # One request each, from five sessions before the first hole to the last.
    assert [(one.query["d1"], one.query["d2"]) for one in several.asked(STOOQ)] == [
        ("20050223", "20050304")
    ] * 2
    several.publish(batch)
    states = several.lake.sql("SELECT source, state, missing FROM partitions").to_pylist()
    assert {(row["source"], row["state"]) for row in states} == {
        ("yahoo", "done"), ("stooq", "done")
    }  # fmt: skip


def test_nobody_else_is_asked_while_the_first_vendor_gives_all(several: Several) -> None:
    batch = several.fetch()
    assert several.asked(STOOQ) == []
    assert (batch.missing, batch.notes) == ((), ())
    several.publish(batch)
    assert {row["verdict"] for row in several.verdicts().values()} == {"one vendor"}


def test_what_an_earlier_run_filled_in_is_not_asked_of_the_next_vendor_again(
    several: Several,
) -> None:
    down = Fault(kind="server_error", path=YAHOO)
    several.publish(several.fetch(down))
    batch = several.fetch(down)
    assert several.asked(STOOQ) == []
    assert batch.missing == ()


def agreed(row: dict[str, Any], day: date) -> bool:
    return bool(row["verdict"] == "agreed")


def one_differs(row: dict[str, Any], day: date) -> bool:
    return bool(row["verdict"] == ("disagreed" if day == A_DAY else "agreed"))


def one_alone(row: dict[str, Any], day: date) -> bool:
    return bool(row["verdict"] == ("one vendor" if day == A_DAY else "agreed"))


def half_before_the_split(row: dict[str, Any], day: date) -> bool:
    """A vendor that did not restate: twice the price on every day before the split, which it
    seems not to have seen; that day's bar is refused."""
    if day < SPLIT:
        return bool(row["verdict"] == "disagreed" and row["difference"] == pytest.approx(0.5))
    return bool(row["verdict"] == ("one vendor" if day == SPLIT else "agreed"))


def hundredfold(row: dict[str, Any], day: date) -> bool:
    return bool(row["verdict"] == "disagreed" and row["difference"] == pytest.approx(0.99))


@pytest.mark.parametrize(
    ("faults", "expected", "drifts"),
    [
        ((), agreed, False),
        ((Fault(kind="last_digit", path=STOOQ, session=A_DAY),), agreed, False),
        ((Fault(kind="stale_bar", path=STOOQ, session=A_DAY),), one_differs, False),
        ((Fault(kind="missing_bar", path=STOOQ, session=A_DAY),), one_alone, False),
        ((Fault(kind="as_traded", path=STOOQ),), half_before_the_split, True),
        ((Fault(kind="other_unit", path=STOOQ),), hundredfold, True),
    ],
    ids=["none", "last digit", "stale day", "missing day", "split not applied", "pence"],
)
def test_two_vendors_are_compared_bar_by_bar_and_who_drifts_raises_an_alarm(
    several: Several,
    faults: tuple[Fault, ...],
    expected: Callable[[dict[str, Any], date], bool],
    drifts: bool,
) -> None:
    batch = several.fetch(*faults, cross_check=True)
    several.publish(batch)
    closes, verdicts = several.truth(), several.verdicts()
    assert set(verdicts) == set(closes)
    for day, row in verdicts.items():
        assert expected(row, day), (day, row)
        quotes = {quote["source"]: quote["close"] for quote in row["quotes"]}
        assert (row["held_by"], quotes["yahoo"]) == ("yahoo", closes[day])
        if row["verdict"] == "disagreed":
            assert set(quotes) == {"yahoo", "stooq"}
            assert quotes["stooq"] != pytest.approx(closes[day], rel=0.001)
    held = several.lake.sql("SELECT DISTINCT source FROM bars").to_pylist()
    assert held == [{"source": "yahoo"}]
    assert several.lake.sql("FROM quarantine WHERE reason LIKE 'another source%'").num_rows == 0
    alarms = drift_alarms(vendors_check(several.lake.read, several.spec, START), several.spec)
    assert [source for source, _ in alarms] == (["stooq"] if drifts else [])


def test_series_in_another_unit_is_never_joined_to_one_that_is_right(several: Several) -> None:
    several.publish(several.fetch(days=(START, date(2005, 3, 4))))
    hole = Fault(kind="missing_bar", path=YAHOO, session=date(2005, 3, 9))
    pence = Fault(kind="other_unit", path=STOOQ)
    batch = several.fetch(hole, pence, days=(date(2005, 3, 7), END), overlap_sessions=8)
    assert set(sources(batch.bars).values()) == {"yahoo"}
    assert date(2005, 3, 9) not in sources(batch.bars)
    [(_, note)] = batch.notes
    assert "stooq fills in nothing: it disagrees" in note
    # The third vendor is right, and is asked.
    batch = several.fetch(
        hole,
        pence,
        days=(date(2005, 3, 7), END),
        overlap_sessions=8,
        vendors=("yahoo", "stooq", "tiingo"),
        cross_check=True,
    )
    assert sources(batch.bars)[date(2005, 3, 9)] == "tiingo"


def test_better_vendor_takes_a_bar_back_and_a_worse_one_never_does(several: Several) -> None:
    stale = Fault(kind="stale_bar", path=STOOQ, session=A_DAY)
    several.publish(several.fetch(Fault(kind="server_error", path=YAHOO), stale))
    held = "SELECT source, close, vintage FROM bars WHERE session = DATE '2005-03-02'"
    [before] = several.lake.sql(held).to_pylist()
    assert (before["source"], before["vintage"]) == ("stooq", 1)
    later = NOW + timedelta(hours=5)
    assert several.publish(several.fetch(stale, cross_check=True, now=later), later).bars_revised
    [after] = several.lake.sql(held).to_pylist()
    assert after == {"source": "yahoo", "close": several.truth()[A_DAY], "vintage": 2}
    [former] = several.lake.sql(
        "SELECT source, close FROM bar_revisions WHERE session = DATE '2005-03-02'"
    ).to_pylist()
    assert former == {"source": "stooq", "close": before["close"]}

    again = several.fetch(Fault(kind="server_error", path=YAHOO), stale, now=later)
    several.publish(again, later)
    assert several.lake.sql(held).to_pylist() == [after]
    assert several.verdicts()[A_DAY]["verdict"] == "disagreed"


@pytest.mark.parametrize("name", ["stooq", "tiingo", "alpha_vantage"])
def test_landed_answers_of_every_vendor_read_again_as_they_were(
    several: Several, name: str
) -> None:
    pair = ("AAPL", "IBM")
    several.publish(several.fetch(cross_check=True, vendors=("yahoo", name), tickers=pair))
    landed = several.lake.read("answers_landed", {"source": name})
    batch = replay_answers(
        landed,
        Landing(several.folder / "landing").load,
        several.spec.in_order[1],
        several.spec,
        calendar=several.calendar,
        splits=several.lake.read("splits_of", candidates=landed),
    )
    assert (batch.missing, batch.rejects.num_rows) == ((), 0)
    stored = several.lake.sql(
        "SELECT * EXCLUDE (recorded_at) FROM bar_readings WHERE source = $source ORDER BY ALL",
        {"source": name},
    )
    again = batch.readings.select(stored.column_names)
    order = [("ticker", "ascending"), ("session", "ascending")]
    assert again.sort_by(order).equals(stored.cast(again.schema))
    assert several.lake.read("bars_of_holder", incoming=batch.bars).num_rows == 0


def test_publishing_the_same_readings_again_changes_no_reading(several: Several) -> None:
    batch = several.fetch(cross_check=True)
    several.publish(batch)
    rows = several.lake.sql("FROM bar_readings ORDER BY ALL")
    snapshot = several.lake.snapshot_id()
    several.publish(batch, NOW + timedelta(hours=1))
    assert several.lake.snapshot_id() == snapshot
    # On another day a restating vendor quotes on another basis: the same reading.
    another = NOW + timedelta(days=1)
    several.publish(several.fetch(cross_check=True, now=another), another)
    assert several.lake.sql("FROM bar_readings ORDER BY ALL").equals(rows)


def test_split_that_one_vendor_tells_explains_the_step_of_another(several: Several) -> None:
    several.publish(several.fetch(cross_check=True, vendors=("yahoo", "alpha_vantage")))
    assert {row["verdict"] for row in several.verdicts().values()} == {"agreed"}
    assert several.lake.sql("FROM quarantine").num_rows == 0


@pytest.mark.parametrize(
    ("name", "path", "requests"),
    [("stooq", STOOQ, 1), ("alpha_vantage", ALPHA, 1), ("tiingo", TIINGO, QUICK.retry.attempts)],
)
def test_vendor_at_its_limit_is_asked_once_and_the_next_one_fills_in(
    several: Several, name: str, path: str, requests: int
) -> None:
    last = "stooq" if name != "stooq" else "tiingo"
    tickers = ("AAPL", "IBM", "MSFT")
    batch = several.fetch(
        Fault(kind="server_error", path=YAHOO),
        Fault(kind="limit_page", path=path),
        vendors=("yahoo", name, last),
        tickers=tickers,
    )
    assert len(several.asked(path)) == requests
    assert batch.missing == ()
    assert {(row["ticker"], row["source"]) for row in batch.bars.to_pylist()} == {
        (ticker, last) for ticker in tickers
    }
    errors = {row["error"] for row in batch.partitions.to_pylist() if row["source"] == name}
    assert len(errors) == len(tickers)
    # Nor when the same run asks for other tickers.
    with scratch() as engine, pytest.raises((VendorLimitError, FetchError)):
        several.others[name].read("GOOG", START, END, engine, lambda payload: None)
    assert len(several.asked(path)) == requests


def test_ticker_that_no_vendor_has_is_missing_with_every_reason(several: Several) -> None:
    batch = several.fetch(tickers=("NOPE",), vendors=("yahoo", "stooq", "tiingo"))
    [(ticker, error)] = batch.missing
    assert ticker == "NOPE"
    assert all(words in error for words in ("delisted", "stooq: ", "tiingo: ", "HTTP 404"))


def test_split_comes_with_the_vendor_that_gave_its_day(several: Several) -> None:
    batch = several.fetch(Fault(kind="server_error", path=YAHOO), vendors=("yahoo", "tiingo"))
    rows = batch.actions.select(["ex_date", "kind", "value", "source"]).to_pylist()
    assert {"ex_date": SPLIT, "kind": "split", "value": 2.0, "source": "tiingo"} in rows


@pytest.mark.parametrize("name", ["stooq", "tiingo", "alpha_vantage"])
@pytest.mark.parametrize("kind", ["html_page", "truncated", "reset_mid_body", "server_error"])
def test_broken_answer_of_a_vendor_fails_its_ticker_alone(
    several: Several, name: str, kind: str
) -> None:
    fault = Fault.model_validate({"kind": kind, "ticker": "AAPL", "value": 0.4})
    batch = several.fetch(fault, vendors=(name,), tickers=("AAPL", "IBM"))
    done = {key: state for (_, key), state in ledger(batch).items()}
    assert done["IBM"] in ("done", "partial")
    # A CSV that is cut off between two lines is a shorter CSV: what is lacking is known.
    assert done["AAPL"] in ("failed", "partial" if name == "stooq" else "failed")
