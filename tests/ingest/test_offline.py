"""Hazard of no network, and of one dead host: every ticker waits for it, and says so by itself."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from flows.cli.doctor import ask_sources, examine
from flows.platform.display import IngestSummary, together
from flows.platform.runtime import ended
from flows.settings import load_settings
from sandbox.faults import Fault, FaultPlan
from sandbox.market import Market, synthetic_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tasks.dataset.spec.clock import exchange_sessions
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import fetch_headlines
from tasks.ingest.http.client import feed_client, price_client
from tasks.ingest.http.guard import GuardedTransport
from tasks.ingest.http.hosts import Hosts
from tasks.ingest.http.retry import FeedLimits, PriceLimits, RetryPolicy, UnreachableError
from tasks.ingest.prices.fetch import fetch_prices
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.web_vendor import web_vendor
from tasks.ingest.prices.yahoo_transport import yahoo_session
from tests.builders.servers import free_ports
from warehouse.tables.batches import HeadlineBatch, PriceBatch

START, END = date(2024, 1, 8), date(2024, 1, 10)
NOW = datetime(2024, 1, 11, 14, tzinfo=UTC)
WITHIN = 30.0
"""Seconds that a source may cost a run."""
QUICK = RetryPolicy(attempts=2, first_wait=timedelta(seconds=0.01))
WIRE = FeedSpec(
    name="wire",
    url="https://news.google.com/rss/search?q={ticker}+after:{start}+before:{end}",
    mode="search",
    granularity="second",
    concurrency=1,
)
HOSTS = {"yahoo": "yahoo.com", "stooq": "stooq.com", "wire": "news.google.com"}


@pytest.fixture(scope="module")
def market() -> Market:
    return synthetic_market(20, date(2023, 12, 1), date(2024, 1, 12), seed=3)


@pytest.fixture(scope="module")
def calendar() -> pa.Table:
    return exchange_sessions("XNYS", date(2023, 11, 1), date(2024, 2, 1))


@dataclass
class Elapsed:
    """A clock that stands still but for the waits of clients."""

    seconds: float = 0.0
    waited: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.seconds += seconds


@dataclass
class Run:
    """One run's clients at an origin, which ask for all tickers of a market."""

    origin: str
    market: Market
    calendar: pa.Table
    cache: Any
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    deadline: float = 30.0
    elapsed: Elapsed = field(default_factory=Elapsed)
    hosts: Hosts = field(init=False)

    def __post_init__(self) -> None:
        self.hosts = Hosts(self.elapsed)

    def prices(self) -> PriceBatch:
        limits = PriceLimits(retry=self.retry, host_deadline=timedelta(seconds=self.deadline))
        spec = PriceSpec(vendors=("yahoo", "stooq"), cache=self.cache)  # type: ignore[arg-type]
        shared: dict[str, Any] = {"sleep": self.elapsed.sleep, "hosts": self.hosts}
        with ExitStack() as stack:
            client = price_client(self.origin, limits, self.deadline, **shared)
            stooq = web_vendor(
                spec.in_order[1], spec.exchange_zone, stack.enter_context(client), lambda: NOW
            )
            session = yahoo_session(self.origin, limits, clock=lambda: NOW, **shared)
            return fetch_prices(
                self.market.tickers,
                START,
                END,
                spec,
                session=stack.enter_context(session),
                clock=lambda: NOW,
                land=lambda payload: payload.payload_id,
                calendar=self.calendar,
                others={"stooq": stooq},
            )

    def headlines(self) -> HeadlineBatch:
        limits = FeedLimits(retry=self.retry, host_deadline=timedelta(seconds=self.deadline))
        limits = limits.model_copy(update={"deadline": timedelta(seconds=self.deadline)})
        with feed_client(self.origin, limits, sleep=self.elapsed.sleep, hosts=self.hosts) as client:
            return fetch_headlines(
                WIRE,
                self.market.tickers,
                START,
                END,
                client=client,
                clock=lambda: NOW,
                land=lambda payload: payload.payload_id,
            )


def test_without_a_network_every_source_fails_once_and_says_so(
    market: Market, calendar: pa.Table, tmp_path: Any
) -> None:
    (port,) = free_ports()
    run = Run(f"http://127.0.0.1:{port}", market, calendar, tmp_path)
    prices = run.prices()
    assert run.elapsed.seconds <= 2 * WITHIN
    assert len(prices.missing) == 20
    before = run.elapsed.seconds
    headlines = run.headlines()
    assert run.elapsed.seconds - before <= WITHIN
    # Twenty tickers, three sources: each waits as one request does.
    assert len(run.elapsed.waited) <= 3 * run.retry.attempts
    errors = Counter(row["error"] for row in headlines.partitions.to_pylist())
    assert sorted(errors.values()) == [1, 19]
    assert "there may be no network" in errors.most_common()[0][0]
    words = run.hosts.words_without_network
    assert words is not None
    assert all(host in words for host in HOSTS.values())


def test_summary_of_a_dead_source_is_a_line_and_not_one_a_ticker(
    market: Market, calendar: pa.Table, tmp_path: Any
) -> None:
    (port,) = free_ports()
    headlines = Run(f"http://127.0.0.1:{port}", market, calendar, tmp_path).headlines()
    missing = tuple(
        (f"wire {row['key']}", row["error"]) for row in headlines.partitions.to_pylist()
    )
    lines = together(missing)
    assert len(lines) == 2
    assert lines[1][0].endswith("and 16 more")
    summary = IngestSummary(start=START, end=END, missing=missing)
    state: Any = ended(summary)
    assert state.message.count("news.google.com") <= 4
    assert "20 could not be had" in state.message


@pytest.mark.parametrize(
    ("kind", "most"), [("silence", 2), ("no_answer", 2), ("server_error", 22), ("html_page", 20)]
)
def test_dead_host_is_asked_a_few_times_and_the_others_go_on(
    market: Market, calendar: pa.Table, tmp_path: Any, kind: Any, most: int
) -> None:
    fault = Fault(kind=kind, host="news.google.com")
    with SandboxVendor(market, NewsSpec(), now=lambda: NOW, faults=FaultPlan.of(fault)) as vendor:
        run = Run(vendor.base_url, market, calendar, tmp_path, QUICK, deadline=3.0)
        headlines, prices = run.headlines(), run.prices()
        asked = Counter(served.request.host for served in vendor.requests)
    assert asked["news.google.com"] <= most
    assert {row["state"] for row in headlines.partitions.to_pylist()} == {"failed"}
    assert prices.missing == ()
    assert run.hosts.words_without_network is None


def test_tickers_that_a_vendor_chokes_on_do_not_cost_the_others_theirs(
    market: Market, calendar: pa.Table, tmp_path: Any
) -> None:
    faults = [
        Fault(kind="server_error", host="news.google.com", ticker=ticker)
        for ticker in sorted(market.tickers)[:4]
    ]
    with SandboxVendor(market, NewsSpec(), now=lambda: NOW, faults=FaultPlan.of(*faults)) as vendor:
        run = Run(vendor.base_url, market, calendar, tmp_path, QUICK)
        states = Counter(row["state"] for row in run.headlines().partitions.to_pylist())
    assert states["failed"] == 4
    assert states.total() == 20


def test_host_that_answers_again_is_asked_as_usual() -> None:
    elapsed = Elapsed()
    hosts = Hosts(elapsed)
    for _ in range(2):
        hosts.failed("a.example", "HTTP 503", silent=False, deadline=WITHIN)
    assert hosts.attempts("a.example", 5) == 1
    hosts.answered("a.example")
    assert hosts.attempts("a.example", 5) == 5
    elapsed.seconds = WITHIN + 1
    hosts.spent("a.example", began=0.0)
    hosts.failed("a.example", "HTTP 503", silent=False, deadline=WITHIN)
    assert "gave nothing" in str(hosts.fault("a.example"))


def test_name_server_that_never_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gone.wait(60))
    limits = FeedLimits(retry=QUICK, host_deadline=timedelta(seconds=0.3))
    try:
        with feed_client(None, limits) as client, pytest.raises(UnreachableError) as failed:
            client.fetch("https://news.example/rss", source="s", clock=lambda: NOW)
    finally:
        gone.set()
    assert "could not be looked up within" in str(failed.value)


def test_doctor_reaches_out_only_when_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    asked: list[str] = []

    def refuse(self: Any, request: Any) -> Any:
        asked.append(request.url.host)
        raise UnreachableError(f"{request.url} could not be read.")

    monkeypatch.setattr(GuardedTransport, "handle_request", refuse)
    overrides = [f"data_root={tmp_path}", 'prices={vendors=["yahoo", "stooq"]}']
    settings = load_settings(profile="live", overrides=overrides)
    list(examine(settings))
    assert asked == []
    found = list(ask_sources(settings))
    assert {"query2.finance.yahoo.com", "stooq.com", "news.google.com"} <= set(asked)
    assert len(asked) == len(set(asked))
    assert not any(one.healthy for one in found)
    assert all("network" in one.remedy for one in found)
