"""One answer that cannot be read is its own ticker's or feed's failure; all others go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks.dataset.spec.clock import exchange_sessions
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import fetch_headlines
from tasks.ingest.http.client import FeedClient
from tasks.ingest.http.retry import FeedLimits, PriceLimits, RequestBudget, RetryPolicy
from tasks.ingest.prices.fetch import fetch_prices
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.yahoo_transport import Answer, LenientResponse, YahooSession
from tests.ingest.spoiled import half_characters, spoiled, spoiled_whole, spoiled_xml
from tests.ingest.test_mutations import ITEMS, cut_feed, sandbox_answer
from validation.gate import check
from warehouse.lake import Lake
from warehouse.storage.landing import Payload
from warehouse.tables.batches import HeadlineBatch, Land, PriceBatch
from warehouse.tables.headlines import publish_headlines
from warehouse.tables.prices import publish_prices

NOW = datetime(2013, 3, 2, 12, tzinfo=UTC)
FIRST, LAST = date(2013, 2, 19), date(2013, 2, 28)
BARS = 8
SHARE = 60
"""One in so many of the spoiled answers is tried: enough for every kind of damage."""
WIRE = FeedSpec(name="wire", url="https://wire.example/{ticker}")
JSON_FEED: dict[str, Any] = {
    "version": "https://jsonfeed.org/version/1.1",
    "title": "Wire",
    "items": [
        {
            "id": "1",
            "url": "https://wire.example/1",
            "title": "IBM buys back shares",
            "summary": "Ten of them",
            "date_published": "2013-03-01T12:00:00Z",
            "date_modified": "2013-03-01T12:30:00Z",
        },
        {
            "id": 2,
            "title": "IBM sells",
            "content_text": "All",
            "date_published": "2013-03-01T13:00:00Z",
        },
    ],
}


def landed(payload: Payload) -> str:
    """Where nothing is kept."""
    return payload.payload_id


def full(payload: Payload) -> str:
    """A disk without room."""
    raise OSError(28, "No space left on device")


class TableOfAnswers(YahooSession):
    """The real session under the real client; each symbol's answer comes from a table."""

    def __init__(self, bodies: Mapping[str, bytes]) -> None:
        once = PriceLimits(retry=RetryPolicy(attempts=1), requests=100_000)
        super().__init__(None, RequestBudget(once), lambda: NOW)
        self._bodies = bodies

    def send_once(self, method: str, url: str, options: dict[str, Any]) -> LenientResponse:
        response = LenientResponse()
        body = self._bodies.get(urlsplit(url).path.rpartition("/")[2])
        response.url, response.status_code = url, 404 if body is None else 200
        response.content = body or b""
        self.record(Answer(url, response.status_code, (), response.content))
        return response


def chart() -> bytes:
    """Eight bars, a dividend and a split, as the vendor sends them."""
    periods = (
        datetime(day.year, day.month, day.day, 5, tzinfo=UTC)
        for day in (FIRST, LAST + timedelta(days=1))
    )
    first, last = (str(int(moment.timestamp())) for moment in periods)
    answer = sandbox_answer("/v8/finance/chart/IBM", period1=first, period2=last)
    document = json.loads(answer)
    result = document["chart"]["result"][0]
    stamp = result["timestamp"][2]
    result["events"] = {
        "dividends": {str(stamp): {"amount": 0.85, "date": stamp}},
        "splits": {str(stamp): {"date": stamp, "numerator": 1.0, "denominator": 1.0}},
    }
    return json.dumps(document).encode()


@pytest.fixture(scope="module")
def calendar() -> pa.Table:
    """The sessions around the chart."""
    return exchange_sessions("XNYS", date(2012, 11, 1), date(2013, 3, 8))


def fetched(
    bodies: Mapping[str, bytes], calendar: pa.Table, folder: Path, land: Land = landed
) -> PriceBatch:
    """The answers as fetch_prices reads them, each symbol's its own."""
    spec = PriceSpec(
        source="vendor", basis="session", cache=folder / "yfinance", overlap_sessions=0, passes=1
    )
    with TableOfAnswers(bodies) as session:
        return fetch_prices(
            tuple(bodies), FIRST, LAST, spec,
            session=session, clock=lambda: NOW, land=land, calendar=calendar,
        )  # fmt: skip


def test_bad_chart_of_one_ticker_ends_no_other(
    lake: Lake, calendar: pa.Table, tmp_path: Path
) -> None:
    good, every = chart(), list(spoiled(chart()))
    nested = [one for one in every if "nested" in one[0]]
    flat = [one for one in every if "nested" not in one[0]]
    cases = [*spoiled_whole(good), *flat[::SHARE], *nested[:: SHARE // 2]]
    bodies = {
        f"B{number}": body.replace(b"IBM", f"B{number}".encode())
        for number, (_, body) in enumerate(cases)
    }
    batch = fetched(bodies | {"IBM": good}, calendar, tmp_path)
    assert pc.sum(pc.equal(batch.bars["ticker"], "IBM")).as_py() == BARS
    outcomes = {row["key"]: row for row in batch.partitions.to_pylist()}
    assert outcomes.keys() == {*bodies, "IBM"}
    assert outcomes["IBM"]["state"] == "done"
    for ticker, error in batch.missing:
        assert outcomes[ticker]["state"] == "failed"
        assert ticker in error
        assert "\n" not in error
    assert len(batch.missing) > len(cases) / 3
    for suite, rows in (("bars", batch.bars), ("actions", batch.actions)):
        check(suite, rows, batch="spoiled", checked_at=NOW).require()
    publish_prices(lake, batch, now=NOW)
    assert lake.sql("SELECT count(*) AS n FROM bars WHERE ticker = 'IBM'")["n"].to_pylist() == [
        BARS
    ]


def test_full_disk_is_no_tickers_failure(calendar: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        fetched({"IBM": chart()}, calendar, tmp_path, full)


def polled(bodies: Mapping[str, bytes | Exception], land: Land = landed) -> HeadlineBatch:
    """The answers as fetch_headlines reads them, each ticker's its own; or a client's error."""

    def handle(request: httpx.Request) -> httpx.Response:
        body = bodies[request.url.path.rpartition("/")[2]]
        if isinstance(body, Exception):
            raise body
        return httpx.Response(200, stream=httpx.ByteStream(body))

    limits = FeedLimits(retry=RetryPolicy(attempts=1))
    http = httpx.Client(transport=httpx.MockTransport(handle))
    with FeedClient(http, limits, RequestBudget(limits)) as client:
        return fetch_headlines(
            WIRE, tuple(bodies), NOW.date(), NOW.date(),
            client=client, clock=lambda: NOW, land=land,
        )  # fmt: skip


def test_bad_feed_of_one_ticker_ends_no_other(lake: Lake) -> None:
    good = cut_feed(sandbox_answer("/rss/2.0/headline", s="IBM"))
    atom, document = cut_feed(sandbox_answer("/atom/IBM")), json.dumps(JSON_FEED).encode()
    cases = [
        *half_characters(JSON_FEED),
        *list(spoiled_xml(good))[::7],
        *list(spoiled_xml(atom))[::7],
        *list(spoiled(document))[::7],
    ]
    bodies: dict[str, bytes | Exception] = {
        f"B{number}": body for number, (_, body) in enumerate(cases)
    }
    errors = (RuntimeError("of the client"), httpx.DecodingError("x"), ValueError("\ud800"))
    bodies |= {f"E{number}": error for number, error in enumerate(errors)}
    batch = polled(bodies | {"IBM": good})
    outcomes = {row["key"]: row for row in batch.partitions.to_pylist()}
    assert outcomes.keys() == {*bodies, "IBM"}
    assert (outcomes["IBM"]["state"], outcomes["IBM"]["rows"]) == ("done", ITEMS)
    for number in range(len(errors)):
        assert outcomes[f"E{number}"]["state"] == "failed"
        assert f"/E{number}" in outcomes[f"E{number}"]["error"]
    tables = {"headlines": batch.headlines, "headline_tickers": batch.headline_tickers}
    for suite, rows in tables.items():
        check(suite, rows, batch="spoiled", checked_at=NOW).require()
    publish_headlines(lake, batch, now=NOW)


def test_full_disk_is_no_feeds_failure() -> None:
    with pytest.raises(OSError, match="No space left"):
        polled({"IBM": json.dumps(JSON_FEED).encode()}, full)
