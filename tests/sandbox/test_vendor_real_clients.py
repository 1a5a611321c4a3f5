"""The real clients read the vendor: yfinance over curl_cffi, httpx with feedparser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pyarrow.compute as pc
import pytest

from sandbox.market import Market, bokeh_market
from sandbox.newswire import SOURCE, NewsSpec, headlines
from sandbox.vendor import HOST_HEADER, SandboxVendor

SPEC = NewsSpec(seed=3)


@pytest.fixture(scope="module")
def market() -> Market:
    return bokeh_market()


@pytest.fixture
def clock() -> list[datetime]:
    """A vendor clock the test may move: its only element is the present."""
    return [datetime(2013, 6, 1, tzinfo=UTC)]


@pytest.fixture
def vendor(market: Market, clock: list[datetime]) -> Iterator[SandboxVendor]:
    with SandboxVendor(market, SPEC, now=lambda: clock[0]) as running:
        yield running


@pytest.fixture
def download(vendor: SandboxVendor, tmp_path: Path) -> Callable[..., Any]:
    """yfinance's own download, its requests turned to the vendor by the session alone."""
    import yfinance as yf
    from curl_cffi import requests as curl
    from yfinance.data import YfData

    class Redirected(curl.Session):
        def request(self, method: str, url: str, **options: Any) -> Any:
            parts = urlsplit(url)
            headers = {**(options.pop("headers", None) or {}), HOST_HEADER: parts.netloc}
            target = f"{vendor.base_url}{parts.path or '/'}"
            target += f"?{parts.query}" if parts.query else ""
            return super().request(method, target, headers=headers, **options)

    yf.set_tz_cache_location(str(tmp_path))
    YfData.cache_get.cache_clear()
    session = Redirected()

    def run(tickers: list[str], start: date, end: date) -> Any:
        return yf.download(
            tickers, start=start, end=end, auto_adjust=False, actions=True, threads=False,
            progress=False, session=session, group_by="ticker",
        )  # fmt: skip

    return run


def feed(vendor: SandboxVendor, url: str, **headers: str) -> tuple[httpx.Response, Any]:
    import feedparser

    parts = urlsplit(url)
    target = f"{vendor.base_url}{parts.path}?{parts.query}"
    response = httpx.get(target, headers={HOST_HEADER: parts.netloc, **headers})
    return response, feedparser.parse(response.content)


def test_bars_survive_yahoos_json_to_the_last_bit(
    download: Callable[..., Any], market: Market
) -> None:
    frame = download(list(market.tickers), date(2000, 1, 1), date(2013, 6, 1))
    for ticker in market.tickers:
        history = market.history(ticker)
        got = frame[ticker].dropna(subset=["Close"])
        assert np.array_equal(got.index.values.astype("datetime64[D]"), history.sessions)
        for column in ("open", "high", "low", "close", "adj_close", "volume"):
            served = got[column.replace("_", " ").title()].to_numpy()
            assert np.array_equal(served, getattr(history, column)), (ticker, column)


def test_splits_and_dividends_reach_the_client_on_their_ex_date(
    download: Callable[..., Any], market: Market
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
    download: Callable[..., Any], clock: list[datetime], market: Market
) -> None:
    clock[0] = datetime(2005, 2, 25, 11, tzinfo=UTC)
    frame = download(["AAPL"], date(2005, 1, 3), date(2005, 3, 31))["AAPL"]
    assert frame.index[-1].date() == date(2005, 2, 24)
    assert (frame["Stock Splits"] == 0).all()
    assert frame["Adj Close"].iloc[-1] == pytest.approx(frame["Close"].iloc[-1])


def test_unlisted_share_is_unknown_before_its_first_session(
    vendor: SandboxVendor, clock: list[datetime]
) -> None:
    clock[0] = datetime(2012, 5, 17, tzinfo=UTC)
    url = f"{vendor.base_url}/v8/finance/chart/FB?range=1d&interval=1d"
    assert httpx.get(url).status_code == 404
    clock[0] = datetime(2012, 5, 19, tzinfo=UTC)
    assert httpx.get(url).json()["chart"]["result"][0]["meta"]["firstTradeDate"] == 1337347800


def test_search_feed_returns_every_headline_of_the_window(
    vendor: SandboxVendor, market: Market
) -> None:
    url = "https://news.google.com/rss/search?q=AAPL+after:2012-03-01+before:2012-04-01"
    _, parsed = feed(vendor, url)
    table = headlines(market, SPEC, ["AAPL"])
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


@pytest.mark.parametrize(
    "url",
    [
        "https://feeds.finance.yahoo.com/rss/2.0/headline?s=IBM",
        "https://www.sandbox.example/atom/IBM",
    ],
)
def test_lookahead_polled_feed_holds_only_the_latest_published(
    vendor: SandboxVendor, clock: list[datetime], url: str
) -> None:
    clock[0] = datetime(2011, 7, 5, 11, tzinfo=UTC)
    _, parsed = feed(vendor, url)
    moments = [datetime(*entry.published_parsed[:6], tzinfo=UTC) for entry in parsed.entries]
    assert len(moments) == 20
    assert max(moments) <= clock[0]
    assert max(moments) > clock[0] - timedelta(days=14)
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://feeds.finance.yahoo.com/rss/2.0/headline?s=IBM",
        "https://news.google.com/rss/search?q=IBM",
        "https://www.sandbox.example/atom/IBM",
    ],
)
def test_every_feed_and_item_says_it_is_synthetic(vendor: SandboxVendor, url: str) -> None:
    _, parsed = feed(vendor, url)
    assert SOURCE in parsed.feed.title
    for entry in parsed.entries:
        assert entry.author == SOURCE
        assert [tag.term for tag in entry.tags] == ["synthetic"]


def test_unchanged_feed_is_not_sent_twice(vendor: SandboxVendor, clock: list[datetime]) -> None:
    url = "https://feeds.finance.yahoo.com/rss/2.0/headline?s=IBM"
    clock[0] = datetime(2011, 7, 5, 11, tzinfo=UTC)
    first, _ = feed(vendor, url)
    again, _ = feed(vendor, url, **{"If-None-Match": first.headers["ETag"]})
    dated, _ = feed(vendor, url, **{"If-Modified-Since": first.headers["Last-Modified"]})
    assert (again.status_code, again.content, dated.status_code) == (304, b"", 304)
    clock[0] = datetime(2011, 7, 25, 11, tzinfo=UTC)
    fresh, _ = feed(vendor, url, **{"If-None-Match": first.headers["ETag"]})
    assert fresh.status_code == 200


def test_request_log_names_the_host_that_was_meant(vendor: SandboxVendor) -> None:
    feed(vendor, "https://feeds.finance.yahoo.com/rss/2.0/headline?s=IBM")
    (line,) = vendor.requests
    assert line.request.host == "feeds.finance.yahoo.com"
    assert (line.request.query, line.status) == ({"s": "IBM"}, 200)
