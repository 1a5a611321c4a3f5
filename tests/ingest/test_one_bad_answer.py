"""One answer that cannot be read is its own ticker's or feed's failure; all others go on."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
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
from tasks.ingest.prices.fetch import PriceSpec, fetch_prices
from tasks.ingest.prices.yahoo_transport import Answer, LenientResponse, YahooSession
from tests.ingest.test_mutations import sandbox_answer
from validation.gate import check
from warehouse.lake import Lake
from warehouse.storage.landing import Payload
from warehouse.tables.batches import HeadlineBatch, Land, PriceBatch
from warehouse.tables.headlines import publish_headlines
from warehouse.tables.prices import publish_prices

NOW = datetime(2013, 3, 2, 12, tzinfo=UTC)
FIRST, LAST = date(2013, 2, 19), date(2013, 2, 28)
DEEP = 100_000
BARS = 8
SHARE = 30
"""One in so many of the spoiled answers is tried: enough for every kind of damage."""
HOSTILE: dict[str, Any] = {
    "huge": 10**30,
    "huger": 10**400,
    "negative": -(10**18),
    "in milliseconds": 1_361_197_800_000,
    "fraction": 1e308,
    "NaN": float("nan"),
    "infinite": float("inf"),
    "true": True,
    "null": None,
    "empty text": "",
    "text": "n/a",
    "surrogate": "\ud800",
    "NUL": "\x00",
    "list": [],
    "nested list": [[[]]],
    "object": {},
    "object of objects": {"a": {"b": None}},
}
TEXTS = (b"", b"null", b"[]", b"0", b'"x"', b"{}", b"\xff\xfe", b'{"chart":', b"NaN")


def landed(payload: Payload) -> str:
    """Where nothing is kept."""
    return payload.payload_id


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


def nodes(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every node of a document is; of a list, the first, second and last element."""
    yield path
    if isinstance(node, dict):
        for key, child in node.items():
            yield from nodes(child, (*path, key))
    elif isinstance(node, list):
        for at in sorted({0, 1, len(node) - 1} & set(range(len(node)))):
            yield from nodes(node[at], (*path, at))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of the document with another value at one place; the value alone at its root."""
    if not path:
        return value
    changed = copy.deepcopy(document)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return changed


def spoiled(body: bytes) -> Iterator[tuple[str, bytes]]:
    """A JSON answer with one node replaced by what does not belong there, or gone too deep."""
    document = json.loads(body)
    for path in nodes(document):
        where = ".".join(map(str, path)) or "root"
        for name, value in HOSTILE.items():
            yield f"{where}: {name}", json.dumps(replaced(document, path, value)).encode()
        marked = json.dumps(replaced(document, path, "@")).encode()
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            deep = opening * DEEP + b"0" + closing * DEEP
            yield f"{where}: nested", marked.replace(b'"@"', deep)
    for text in TEXTS:
        yield f"text {text!r}", text


def spoiled_whole(body: bytes) -> Iterator[tuple[str, bytes]]:
    """A chart in which a whole column is in another unit, or of another kind."""
    document = json.loads(body)
    result = ("chart", "result", 0)
    stamps = document["chart"]["result"][0]["timestamp"]
    quote = (*result, "indicators", "quote", 0)
    columns = {
        "stamps in milliseconds": ((*result, "timestamp"), [stamp * 1_000 for stamp in stamps]),
        "stamps in nanoseconds": ((*result, "timestamp"), [stamp * 10**9 for stamp in stamps]),
        "stamps as texts": ((*result, "timestamp"), list(map(str, stamps))),
        "volumes of 10**30": ((*quote, "volume"), [10**30] * len(stamps)),
        "prices of 10**400": ((*quote, "close"), [10**400] * len(stamps)),
        "one bar too many": ((*quote, "close"), [1.0] * (len(stamps) + 1)),
        "nested columns": (quote, {"open": [[1.0]], "close": {"a": 1}}),
    }
    for name, (path, value) in columns.items():
        yield name, json.dumps(replaced(document, path, value)).encode()


def chart() -> bytes:
    """Eight bars, a dividend and a split, as the vendor sends them."""
    periods = (datetime(day.year, day.month, day.day, 5, tzinfo=UTC) for day in (FIRST, LAST + timedelta(days=1)))
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
    assert lake.sql("SELECT count(*) AS n FROM bars WHERE ticker = 'IBM'")["n"].to_pylist() == [BARS]


def test_full_disk_is_no_tickers_failure(calendar: pa.Table, tmp_path: Path) -> None:
    def full(payload: Payload) -> str:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fetched({"IBM": chart()}, calendar, tmp_path, full)
