"""What the vendor answers: routing by host and path, charts, feeds, conditional requests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from email.utils import parsedate_to_datetime
from typing import Any

import pyarrow as pa

from sandbox.chart import (
    ChartRequestError,
    chart_body,
    error_body,
    requested_window,
    seen_bars,
    seen_events,
)
from sandbox.faults import FaultPlan
from sandbox.feeds import Item, Newsroom, atom, http_date, rss
from sandbox.market import Market
from sandbox.newswire import NewsSpec

_GENERAL_ITEMS = 50


@dataclass(frozen=True)
class Request:
    """One HTTP request: the host it was meant for (or empty), header names in lower case."""

    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, complete."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Responder:
    """Answers requests for one market and its news; holds no state between requests but caches."""

    def __init__(
        self, market: Market, news: NewsSpec | pa.Table, faults: FaultPlan, partial: bool
    ) -> None:
        self._market = market
        self._newsroom = Newsroom(market, news)
        self._faults = faults
        self._partial = partial

    def answer(self, request: Request, now: int) -> Answer:
        """The answer at `now` (Unix seconds). Unknown paths and symbols get a 404."""
        path = request.path
        if path.startswith("/v8/finance/chart/"):
            return self._chart(request, now)
        if path == "/v1/test/getcrumb":
            return _text(200, "text/plain", "sandbox.crumb")
        if path.startswith(("/rss/", "/atom")):
            return self._feed(request, now)
        if path == "/":
            cookie = {"Set-Cookie": "A3=d=sandbox; Path=/; Max-Age=31536000"}
            return _text(404, "text/html", "<html>Newsvane sandbox vendor</html>", cookie)
        return _text(404, "text/html", f"<html>No sandbox page at {request.host}{path}</html>")

    def _chart(self, request: Request, now: int) -> Answer:
        symbol = request.path.rsplit("/", 1)[1].upper()
        if symbol not in self._listed([symbol], now):
            return _json(404, error_body("Not Found", "No data found, symbol may be delisted"))
        history = self._market.history(symbol)
        try:
            start, end = requested_window(request.query, now)
        except ChartRequestError as error:
            return _json(422, error_body("Unprocessable Entity", str(error)))
        if end <= history.opens_at[0]:
            reason = f"Data doesn't exist for startDate = {start}, endDate = {end}"
            return _json(400, error_body("Bad Request", reason))
        quotes = seen_bars(history, start, end, now, partial=self._partial)
        events = seen_events(history, start, end, now)
        return _json(200, chart_body(history, quotes, events, now, symbol))

    def _feed(self, request: Request, now: int) -> Answer:
        link = f"https://{request.host or 'www.sandbox.example'}{request.path}"
        if request.path == "/rss/search":
            tickers, start, end = _search_terms(request.query.get("q", ""))
            items = self._newsroom.between(self._listed(tickers, now), start, end, now)
            return _feed_answer(request, rss(" ".join(tickers), link, items), items, "rss")
        if request.path.startswith("/atom"):
            symbol = request.path.removeprefix("/atom").strip("/").upper()
            items = self._latest([symbol] if symbol else [], now)
            return _feed_answer(
                request, atom(symbol or "All companies", link, items), items, "atom"
            )
        symbols = [part for part in request.query.get("s", "").upper().split(",") if part]
        items = self._latest(symbols, now)
        return _feed_answer(request, rss(",".join(symbols), link, items), items, "rss")

    def _latest(self, symbols: list[str], now: int) -> list[Item]:
        if symbols:
            return self._newsroom.latest(self._listed(symbols, now), now)
        return self._newsroom.latest(self._market.tickers, now, _GENERAL_ITEMS)

    def _listed(self, symbols: list[str], now: int) -> list[str]:
        """Those of `symbols` that trade at `now`; a share is unknown before its first session."""
        known = [symbol for symbol in symbols if symbol in self._market.tickers]
        return [symbol for symbol in known if self._market.history(symbol).opens_at[0] <= now]


def _search_terms(q: str) -> tuple[list[str], int, int]:
    """Tickers and the [after, before) window (Unix seconds, UTC dates) of a news search."""
    start, end, words = 0, 2**40, []
    for word in q.split():
        if word.startswith("after:"):
            start = _midnight(word.removeprefix("after:"))
        elif word.startswith("before:"):
            end = _midnight(word.removeprefix("before:"))
        else:
            words.append(word.strip('"').upper())
    return words, start, end


def _midnight(text: str) -> int:
    return int(datetime.combine(date.fromisoformat(text), time(), UTC).timestamp())


def _feed_answer(request: Request, document: str, items: list[Item], kind: str) -> Answer:
    """A feed with its validators, or 304 when the client has these very bytes already."""
    body = document.encode()
    headers = {
        "Content-Type": f"application/{kind}+xml; charset=utf-8",
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
    }
    if items:
        headers["Last-Modified"] = http_date(items[0].published_at)
    if _unchanged(request.headers, headers):
        return Answer(304, headers, b"")
    return Answer(200, headers, body)


def _unchanged(asked: Mapping[str, str], current: Mapping[str, str]) -> bool:
    """Conditional GET: the entity tag decides; without one, the date does (RFC 9110, 13.2.2)."""
    if "if-none-match" in asked:
        return asked["if-none-match"] in (current["ETag"], "*")
    since, changed = asked.get("if-modified-since"), current.get("Last-Modified")
    if since is None or changed is None:
        return False
    try:
        return parsedate_to_datetime(changed) <= parsedate_to_datetime(since)
    except (ValueError, TypeError):
        return False


def _json(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _text(status: int, kind: str, text: str, extra: Mapping[str, str] | None = None) -> Answer:
    return Answer(
        status, {"Content-Type": f"{kind}; charset=utf-8", **(extra or {})}, text.encode()
    )
