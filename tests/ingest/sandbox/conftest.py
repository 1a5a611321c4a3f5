"""The vendor under test and the real clients turned to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from sandbox.chart import Quoting
from sandbox.faults import Fault, FaultPlan
from sandbox.market import Market, bokeh_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import HOST_HEADER, SandboxVendor

Fetch = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def market() -> Market:
    return bokeh_market()


@pytest.fixture
def spec() -> NewsSpec:
    return NewsSpec(seed=3)


@pytest.fixture
def clock() -> list[datetime]:
    """A vendor clock the test may move: its only element is the present."""
    return [datetime(2013, 6, 1, tzinfo=UTC)]


@pytest.fixture
def faults() -> list[Fault]:
    """What goes wrong; a test overrides it by parametrizing `faults`."""
    return []


@pytest.fixture
def quoting() -> Quoting:
    return Quoting()


@pytest.fixture
def vendor(
    market: Market, spec: NewsSpec, clock: list[datetime], faults: list[Fault], quoting: Quoting
) -> Iterator[SandboxVendor]:
    plan = FaultPlan(faults=tuple(faults))
    with SandboxVendor(market, spec, now=lambda: clock[0], faults=plan, quoting=quoting) as running:
        yield running


@pytest.fixture
def fetch(vendor: SandboxVendor) -> Iterator[Fetch]:
    """httpx turned to the vendor: `fetch(url)` as if the world answered."""
    with httpx.Client(timeout=60) as client:

        def get(url: str, **headers: str) -> httpx.Response:
            parts = urlsplit(url)
            target = f"{vendor.base_url}{parts.path}?{parts.query}"
            return client.get(target, headers={HOST_HEADER: parts.netloc, **headers})

        yield get


@pytest.fixture
def read(fetch: Fetch) -> Callable[..., tuple[httpx.Response, Any]]:
    """A feed's answer and what feedparser makes of it."""
    import feedparser

    def get(url: str, **headers: str) -> tuple[httpx.Response, Any]:
        response = fetch(url, **headers)
        return response, feedparser.parse(response.content)

    return get


@pytest.fixture
def yahoo(vendor: SandboxVendor, tmp_path: Path) -> Any:
    """A curl_cffi session for yfinance whose requests all end at the vendor."""
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
    return Redirected()


@pytest.fixture
def download(yahoo: Any) -> Callable[..., Any]:
    """yfinance's own download, turned to the vendor by its session alone."""
    import yfinance as yf

    def run(tickers: list[str], start: date, end: date) -> Any:
        return yf.download(
            tickers, start=start, end=end, auto_adjust=False, actions=True, threads=False,
            progress=False, session=yahoo, group_by="ticker",
        )  # fmt: skip

    return run
