"""The real clients read the vendor: yfinance over curl_cffi, httpx with feedparser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pyarrow.compute as pc
import pytest

from sandbox.chart import Quoting
from sandbox.history import History, Listing
from sandbox.market import Market, synthetic_market
from sandbox.newswire import SOURCE, NewsSpec, headlines
from sandbox.vendor import SandboxVendor

Fetch = Callable[..., httpx.Response]
Read = Callable[..., tuple[httpx.Response, Any]]
Download = Callable[..., Any]
Clock = list[datetime]
FEED = "https://feeds.finance.yahoo.com/rss/2.0/headline?s=IBM"
ATOM = "https://www.sandbox.example/atom"


def test_bars_survive_yahoos_json_to_the_last_bit(download: Download, market: Market) -> None:
    frame = download(list(market.tickers), date(2000, 1, 1), date(2013, 6, 1))
    for ticker in market.tickers:
        history = market.history(ticker)
        got = frame[ticker].dropna(subset=["Close"])
        assert np.array_equal(got.index.values.astype("datetime64[D]"), history.sessions)
        for column in ("open", "high", "low", "close", "adj_close", "volume"):
            served = got[column.replace("_", " ").title()].to_numpy()
            assert np.array_equal(served, getattr(history, column)), (ticker, column)


def test_splits_and_dividends_reach_the_client_on_their_ex_date(
    download: Download, market: Market
) -> None:
    frame = download(["AAPL", "MSFT"], date(2000, 1, 1), date(2013, 6, 1))
    for ticker in ("AAPL", "MSFT"):
        for column, kind in (("Stock Splits", "split"), ("Dividends", "dividend")):
            got = frame[ticker][column]
            got = got[got > 0]
            wanted = [act for act in market.history(ticker).actions if act.kind == kind]
            assert [day.date() for day in got.index] == [act.ex_date for act in wanted]
            assert got.tolist() == [act.value for act in wanted]


def test_lookahead_a_moved_clock_hides_the_future(
    download: Download, clock: Clock, market: Market
) -> None:
    clock[0] = datetime(2005, 2, 25, 11, tzinfo=UTC)
    frame = download(["AAPL"], date(2005, 1, 3), date(2005, 3, 31))["AAPL"]
    assert frame.index[-1].date() == date(2005, 2, 24)
    assert (frame["Stock Splits"] == 0).all()
    assert frame["Adj Close"].iloc[-1] == pytest.approx(frame["Close"].iloc[-1])


def test_unlisted_share_is_unknown_before_its_first_session(
    vendor: SandboxVendor, clock: Clock
) -> None:
    clock[0] = datetime(2012, 5, 17, tzinfo=UTC)
    url = f"{vendor.base_url}/v8/finance/chart/FB?range=1d&interval=1d"
    assert httpx.get(url).status_code == 404
    clock[0] = datetime(2012, 5, 19, tzinfo=UTC)
    assert httpx.get(url).json()["chart"]["result"][0]["meta"]["firstTradeDate"] == 1337347800


def test_search_feed_returns_every_headline_of_the_window(
    read: Read, market: Market, spec: NewsSpec
) -> None:
    url = "https://news.google.com/rss/search?q=AAPL+after:2012-03-01+before:2012-04-01"
    _, parsed = read(url)
    table = headlines(market, spec, ["AAPL"])
    lower = pc.greater_equal(table["published_at"], datetime(2012, 3, 1, tzinfo=UTC))
    upper = pc.less(table["published_at"], datetime(2012, 4, 1, tzinfo=UTC))
    wanted = table.filter(pc.and_(lower, upper))
    assert wanted.num_rows > 5
    assert {entry.id for entry in parsed.entries} == set(wanted["guid"].to_pylist())
    by_id = {row["guid"]: row for row in wanted.to_pylist()}
    for entry in parsed.entries:
        row = by_id[entry.id]
        assert (entry.title, entry.link) == (row["title"], row["link"])
        assert datetime(*entry.published_parsed[:6], tzinfo=UTC) == row["published_at"]


@pytest.mark.parametrize("url", [FEED, f"{ATOM}/IBM"])
def test_lookahead_polled_feed_holds_only_the_latest_published(
    read: Read, clock: Clock, url: str
) -> None:
    clock[0] = datetime(2011, 7, 5, 11, tzinfo=UTC)
    _, parsed = read(url)
    moments = [datetime(*entry.published_parsed[:6], tzinfo=UTC) for entry in parsed.entries]
    assert len(moments) == 20
    assert max(moments) <= clock[0]
    assert max(moments) > clock[0] - timedelta(days=14)
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize(
    "url",
    [
        FEED,
        "https://news.google.com/rss/search?q=IBM+after:2012-01-01+before:2012-03-01",
        f"{ATOM}/IBM",
    ],
)
def test_every_feed_and_item_says_it_is_synthetic(read: Read, url: str) -> None:
    _, parsed = read(url)
    assert SOURCE in parsed.feed.title
    for entry in parsed.entries:
        assert entry.author == SOURCE
        assert [tag.term for tag in entry.tags] == ["synthetic"]


def test_unchanged_feed_is_not_sent_twice(read: Read, clock: Clock) -> None:
    clock[0] = datetime(2011, 7, 5, 11, tzinfo=UTC)
    first, _ = read(FEED)
    again, _ = read(FEED, **{"If-None-Match": first.headers["ETag"]})
    dated, _ = read(FEED, **{"If-Modified-Since": first.headers["Last-Modified"]})
    assert (again.status_code, again.content, dated.status_code) == (304, b"", 304)
    clock[0] = datetime(2011, 7, 25, 11, tzinfo=UTC)
    fresh, _ = read(FEED, **{"If-None-Match": first.headers["ETag"]})
    assert fresh.status_code == 200


def test_request_log_names_the_host_that_was_meant(read: Read, vendor: SandboxVendor) -> None:
    read(FEED)
    (line,) = vendor.requests
    assert line.request.host == "feeds.finance.yahoo.com"
    assert (line.request.query, line.status) == ({"s": "IBM"}, 200)


def test_unfinished_session_is_quoted_as_far_as_it_has_come(
    download: Download, clock: Clock, market: Market
) -> None:
    clock[0] = datetime(2012, 6, 1, 15, 30, tzinfo=UTC)
    frame = download(["IBM"], date(2012, 5, 25), date(2012, 6, 2))["IBM"]
    history = market.history("IBM")
    row = history.sessions.tolist().index(date(2012, 6, 1))
    assert frame.index[-1].date() == date(2012, 6, 1)
    assert frame["Open"].iloc[-1] == history.open[row]
    assert frame["Close"].iloc[-1] != history.close[row]
    assert 0 < frame["Volume"].iloc[-1] < history.volume[row]


@pytest.mark.parametrize("quoting", [Quoting(partial_sessions=False)])
def test_unfinished_session_can_be_left_out(download: Download, clock: Clock) -> None:
    clock[0] = datetime(2012, 6, 1, 15, 30, tzinfo=UTC)
    frame = download(["IBM"], date(2012, 5, 25), date(2012, 6, 2))["IBM"]
    assert frame.index[-1].date() == date(2012, 5, 31)


@pytest.mark.parametrize("quoting", [Quoting(split_adjusted=True)])
def test_split_adjusted_quotes_restate_the_past_once_the_split_is_known(
    download: Download, clock: Clock, market: Market
) -> None:
    history = market.history("AAPL")
    first = history.close[history.sessions.tolist().index(date(2005, 2, 24))]
    clock[0] = datetime(2005, 2, 26, tzinfo=UTC)
    before = download(["AAPL"], date(2005, 2, 24), date(2005, 2, 26))["AAPL"]
    clock[0] = datetime(2005, 3, 2, tzinfo=UTC)
    after = download(["AAPL"], date(2005, 2, 24), date(2005, 3, 2))["AAPL"]
    assert before["Close"].iloc[0] == pytest.approx(first)
    assert after["Close"].iloc[0] == pytest.approx(first / 2)
    assert after["Stock Splits"].sum() == 2.0


def test_renamed_ticker_answers_under_its_name_of_the_day(market: Market) -> None:
    renamed = market.renamed("FB", "META", "Meta", on=date(2012, 10, 1))
    with SandboxVendor(renamed, NewsSpec(seed=3), now=lambda: clock[0]) as vendor:
        clock = [datetime(2012, 9, 28, 12, tzinfo=UTC)]

        def status(symbol: str) -> int:
            url = f"{vendor.base_url}/v8/finance/chart/{symbol}?period1=0&period2=1356998400"
            return httpx.get(url).status_code

        assert (status("FB"), status("META")) == (200, 404)
        clock[0] = datetime(2012, 10, 5, 12, tzinfo=UTC)
        assert (status("FB"), status("META")) == (404, 200)
        url = f"{vendor.base_url}/v8/finance/chart/META?period1=0&period2=1356998400"
        bars = httpx.get(url).json()["chart"]["result"][0]["timestamp"]
        assert bars[0] == market.history("FB").opens_at[0], "the history comes along"
        feed = httpx.get(f"{vendor.base_url}/rss/2.0/headline?s=META").text
        assert "Meta " in feed
        assert "Facebook" not in feed


def test_many_threads_get_the_same_answers(vendor: SandboxVendor) -> None:
    from concurrent.futures import ThreadPoolExecutor

    symbols = ["AAPL", "FB", "GOOG", "IBM", "MSFT"] * 6
    with httpx.Client(base_url=vendor.base_url) as client, ThreadPoolExecutor(10) as pool:

        def bodies(symbol: str) -> tuple[bytes, bytes]:
            chart = f"/v8/finance/chart/{symbol}?period1=1325376000&period2=1356998400"
            return client.get(chart).content, client.get(f"/atom/{symbol}").content

        answers: dict[str, set[tuple[bytes, bytes]]] = {symbol: set() for symbol in symbols}
        for symbol, body in zip(symbols, pool.map(bodies, symbols), strict=True):
            answers[symbol].add(body)
    assert all(len(found) == 1 for found in answers.values())
    assert len(vendor.requests) == 2 * len(symbols)


def test_large_market_makes_only_what_is_asked_for() -> None:
    made: list[str] = []
    whole = synthetic_market(500, date(2014, 1, 1), date(2023, 12, 31))

    def load(listing: Listing) -> History:
        made.append(listing.ticker)
        return whole.load(listing)

    counted = Market(whole.name, whole.listings, load)
    now = datetime(2020, 1, 1, tzinfo=UTC)
    with SandboxVendor(counted, NewsSpec(), now=lambda: now) as vendor:
        url = f"{vendor.base_url}/v8/finance/chart/SBAAC?period1=1388534400&period2=1577836800"
        bars = httpx.get(url).json()["chart"]["result"][0]["timestamp"]
        feed = httpx.get(f"{vendor.base_url}/rss/2.0/headline?s=SBAAC").text
    assert len(bars) == 1510
    assert feed.count("<item>") == 20
    assert set(made) == {"SBAAC"}


def test_general_feed_tells_all_tickers_of_the_last_three_sessions(
    read: Read, clock: Clock
) -> None:
    clock[0] = datetime(2012, 7, 5, 11, tzinfo=UTC)
    _, general = read(ATOM)
    listed = {entry.id.split("sandbox-3-")[1] for entry in general.entries}
    wanted = set()
    for ticker in ("AAPL", "FB", "GOOG", "IBM", "MSFT"):
        _, own = read(f"{ATOM}/{ticker}")
        wanted |= {entry.id.split("sandbox-3-")[1] for entry in own.entries}
    recent = {key for key in wanted if key.split("-", 1)[1] >= "2012-07-02"}
    assert listed == recent
    assert len(listed) > 3


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://news.google.com/rss/search?q=IBM+after:2012-13-01", 400),
        ("https://query2.finance.yahoo.com/v8/finance/chart/IBM?range=9q", 422),
        ("https://query2.finance.yahoo.com/v8/finance/chart/IBM?interval=1m", 422),
        ("https://query2.finance.yahoo.com/v8/finance/chart/IBM?period1=soon", 422),
        ("https://query2.finance.yahoo.com/v8/finance/chart/IBM?period1=0&period2=9", 400),
        ("https://query2.finance.yahoo.com/v8/finance/chart/NOPE?range=1d", 404),
        ("https://guce.yahoo.com/consent", 404),
    ],
)
def test_nonsense_is_refused_and_the_vendor_lives_on(fetch: Fetch, url: str, status: int) -> None:
    assert fetch(url).status_code == status
    assert fetch(FEED).status_code == 200
