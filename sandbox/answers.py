"""What the vendor answers: routing by host and path, charts, feeds, conditional requests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa

from sandbox.bar_faults import bar_fault
from sandbox.chart import (
    ChartRequestError,
    Quoting,
    Tape,
    chart_body,
    error_body,
    requested_window,
    seen_tape,
)
from sandbox.edgar import Edgar
from sandbox.faults import Fault, FaultCounter, FaultPlan
from sandbox.feed_faults import document_fault, item_faults
from sandbox.feeds import Item, Newsroom, atom, http_date, rss
from sandbox.market import Market
from sandbox.messages import Answer, Request
from sandbox.news_dialects import NewsApis
from sandbox.newswire import NewsSpec
from sandbox.price_dialects import Wire, price_answer, quoted, wire_of
from sandbox.wire_faults import wire_fault


class Responder:
    """Answers requests for one market and its news; between requests it only counts faults.

    `recorded` is a folder of recorded answers, which come instead of made-up ones: charts of a
    ticker in `yahoo_chart_payloads/TICKER.*`, EDGAR in `sec_edgar/`.
    """

    def __init__(
        self,
        market: Market,
        news: NewsSpec | pa.Table,
        plan: FaultPlan,
        quoting: Quoting,
        recorded: Path | None = None,
    ) -> None:
        self._market = market
        self._newsroom = Newsroom(market, news)
        self._faults = FaultCounter(plan)
        self._quoting = quoting
        self._charts = {} if recorded is None else _recorded_charts(recorded)
        self._edgar = Edgar(market, news, recorded and recorded / "sec_edgar")
        self._news_apis = NewsApis(market, self._newsroom)

    def answer(self, request: Request, now: int) -> Answer:
        """The answer at `now` (Unix seconds). Unknown paths and symbols get a 404."""
        due = self._faults.due(request)
        if request.is_chart:
            answer = self._chart(request, now, [fault for fault, _ in due])
        elif (wire := wire_of(request)) is not None:
            answer = self._prices(wire, request, now, [fault for fault, _ in due])
        elif request.is_feed:
            answer = self._feed(request, now, due)
        elif request.is_news_api:
            answer = self._news_apis.answer(request, now, due)
        elif request.is_edgar:
            faults = [fault for fault, _ in due if fault.kind == "false_z"]
            answer = self._edgar.answer(request, now, faults)
        else:
            answer = _page(request)
        for fault, _ in due:
            answer = wire_fault(answer, fault)
        return answer

    def _chart(self, request: Request, now: int, due: list[Fault]) -> Answer:
        kinds = {fault.kind for fault in due}
        symbol = "".join(request.tickers)
        if symbol in self._charts:
            body = self._charts[symbol].read_bytes()
            return Answer(200, {"Content-Type": "application/json"}, body)
        if "delisted" in kinds or not self._market.remembered(symbol, now):
            return _json(404, error_body("Not Found", "No data found, symbol may be delisted"))
        history = self._market.history(symbol)
        try:
            start, end = requested_window(request.query, now)
        except ChartRequestError as error:
            return _json(422, error_body("Unprocessable Entity", str(error)))
        if end <= history.opens_at[0]:
            reason = f"Data doesn't exist for startDate = {start}, endDate = {end}"
            return _json(400, error_body("Bad Request", reason))
        end = start if "empty_frame" in kinds else end
        tape = seen_tape(history, start, end, now, self._quoting)
        for fault in due:
            tape = bar_fault(tape, fault)
        return _json(200, chart_body(history, tape, now))

    def _prices(self, wire: Wire, request: Request, now: int, due: list[Fault]) -> Answer:
        kinds, key = {fault.kind for fault in due}, wire.keyed(request)
        if not key and wire.refusal is not None:
            return wire.refusal
        if "limit_page" in kinds:
            return wire.limit(key or "")
        symbol = "".join(request.tickers)
        if "delisted" in kinds or not self._market.trades(symbol, now):
            return wire.unknown(symbol)
        history, as_traded = self._market.history(symbol), "as_traded" in kinds
        try:
            tape = quoted(wire, history, request, now, self._quoting, as_traded=as_traded)
        except (KeyError, ValueError) as error:
            return _text(400, "text/plain", f"the days asked for are not dates ({error})")
        if "empty_frame" in kinds:
            tape = Tape([], {name: [] for name in tape.columns}, {})
        for fault in due:
            tape = bar_fault(tape, fault)
        return price_answer(wire, symbol, tape)

    def _feed(self, request: Request, now: int, due: list[tuple[Fault, int]]) -> Answer:
        if request.path == "/rss/search":
            try:
                start, end = _search_window(request.query.get("q", ""))
            except ValueError as error:
                return _text(400, "text/plain", f"after: and before: take YYYY-MM-DD ({error})")
            seen = min(end, now + 1)
            # An archive keeps what was written of a name that is no more.
            written = [one for one in request.tickers if self._market.known(one, start, seen)]
            items = self._newsroom.between(written, start, end, now)
        elif request.tickers:
            wanted = [symbol for symbol in request.tickers if self._market.trades(symbol, now)]
            items = self._newsroom.latest(wanted, now)
        else:
            items = self._newsroom.general(now)
        items = item_faults(items, due)
        link = f"https://{request.host or 'www.sandbox.example'}{request.path}"
        title = ", ".join(request.tickers) or "All companies"
        form, kind = (atom, "atom") if request.path.startswith("/atom") else (rss, "rss")
        answer = _feed_answer(request, form(title, link, items), items, kind)
        for fault, _ in due:
            answer = document_fault(answer, fault)
        return answer


def _recorded_charts(folder: Path) -> dict[str, Path]:
    """Recorded chart answers by symbol; of several, the last by name."""
    found = sorted((folder / "yahoo_chart_payloads").glob("*.json"))
    return {path.name.partition(".")[0]: path for path in found}


def _page(request: Request) -> Answer:
    """What the client asks for besides data: a cookie, a crumb, or something that is not here."""
    if request.path == "/v1/test/getcrumb":
        return _text(200, "text/plain", "sandbox.crumb")
    if request.path == "/":
        cookie = {"Set-Cookie": "A3=d=sandbox; Path=/; Max-Age=31536000"}
        return _text(404, "text/html", "<html>Newsvane sandbox vendor</html>", cookie)
    page = escape(f"{request.host}{request.path}")
    return _text(404, "text/html", f"<html>No sandbox page at {page}</html>")


def _search_window(q: str) -> tuple[int, int]:
    """[after, before) of a news search in Unix seconds; the dates are UTC days."""
    start, end = 0, 2**40
    for word in q.split():
        if word.startswith("after:"):
            start = _midnight(word.removeprefix("after:"))
        elif word.startswith("before:"):
            end = _midnight(word.removeprefix("before:"))
    return start, end


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


def _unchanged(conditions: Mapping[str, str], current: Mapping[str, str]) -> bool:
    """Conditional GET: the entity tag decides; without one, the date does (RFC 9110, 13.2.2)."""
    if "if-none-match" in conditions:
        return conditions["if-none-match"] in (current["ETag"], "*")
    since, changed = conditions.get("if-modified-since"), current.get("Last-Modified")
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
