"""Headlines as JSON news APIs put them on the wire, GDELT to NewsAPI.

Formats are those of public descriptions. Each says in its own way that it has nothing, that a key
is missing and where the next page is; keys may be anything.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sandbox.faults import Fault
from sandbox.feed_faults import item_faults
from sandbox.feeds import Item, Newsroom
from sandbox.history import EXCHANGE_ZONE
from sandbox.market import Market
from sandbox.messages import (
    ALPACA_NEWS_PATH,
    BENZINGA_PATH,
    FINNHUB_PATH,
    GDELT_PATH,
    MASSIVE_NEWS_PATH,
    NEWSAPI_PATH,
    Answer,
    Request,
)
from sandbox.newswire import SOURCE

_DAY = 86_400
_QUARTER = 900
_OVERLAP = 5
_TOO_SHORT = "Your search contained a keyword that was too short."


@dataclass(frozen=True)
class Page:
    """One page of an answer. `after`: how many items come before the next; None: it is the last."""

    items: list[Item]
    after: int | None
    request: Request


@dataclass(frozen=True)
class NewsApi:
    """How one vendor is asked and answers.

    `window` is the range asked for in Unix seconds, the end excluded; `page` the items before a
    page and the most on it. `key` is what was sent for one.
    """

    window: Callable[[Mapping[str, str], int], tuple[int, int]]
    page: Callable[[Mapping[str, str]], tuple[int, int]]
    body: Callable[[Page], Any]
    key: Callable[[Request], str]
    refusal: Answer | None = None


class NewsApis:
    """Answers the addresses of JSON news APIs with the headlines of a newsroom."""

    def __init__(self, market: Market, newsroom: Newsroom) -> None:
        self._market = market
        self._newsroom = newsroom

    def answer(self, request: Request, now: int, due: Sequence[tuple[Fault, int]]) -> Answer:
        """The answer at `now` (Unix seconds), after the faults among `due`."""
        api = _APIS[request.path]
        faults: dict[str, Fault] = {fault.kind: fault for fault, _ in due}
        if not api.key(request) and api.refusal is not None:
            return api.refusal
        if fault := faults.get("plain_text"):
            return _text(200, fault.text or _TOO_SHORT)
        if fault := faults.get("error_object"):
            words = fault.text or "You are not entitled to this data."
            return _json({"status": "error", "error": words})
        query = _query_of(request)
        request = replace(request, query=query)
        if re.search(r"(?<![\w])\w{1,2}(?![\w])", query.get("query", "").replace(" OR ", " ")):
            return _text(200, _TOO_SHORT)
        try:
            (start, end), (before, most) = api.window(query, now), api.page(query)
        except (KeyError, ValueError) as error:
            return _json({"status": "error", "message": f"unusable parameters ({error})"}, 422)
        wanted = request.tickers or self._market.tickers
        traded = [one for one in wanted if self._market.trades(one, now)]
        items = self._newsroom.between(traded, start, end, now)
        if query.get("sort", "").lower() in ("asc", "created:asc") or query.get("order") == "asc":
            items = items[::-1]
        items = item_faults(items, due)
        if "endless_paging" in faults:
            before, after = 0, min(most, len(items))
        else:
            after = before + most
            before -= min(before, _OVERLAP) if "page_overlap" in faults else 0
        more = after < len(items) or "endless_paging" in faults
        page = Page(items[before:after], after if more else None, request)
        return _faulty(api.body(page), faults, api.key(request))


def _faulty(body: Any, faults: Mapping[str, Fault], key: str) -> Answer:
    """The answer with what befalls its items and the address of its next page."""
    if "odd_items" in faults:
        _items_of(body)[:0] = _odd(_items_of(body)[0])
    if isinstance(body, dict) and body.get("next_url"):
        if "next_elsewhere" in faults:
            path = body["next_url"].partition(MASSIVE_NEWS_PATH)[2]
            body["next_url"] = f"https://elsewhere.example{MASSIVE_NEWS_PATH}{path}"
        if "next_with_key" in faults:
            body["next_url"] += f"&apiKey={key}"
    answer = _json(body)
    if "broken_json" in faults:
        said = answer.body.decode()
        said = re.sub(
            '"(title|headline)": "', lambda found: f"{found[0]}\x07It\\'s \\", said, count=1
        )
        answer = replace(answer, body=said.encode())
    return answer


def _items_of(body: Any) -> list[Any]:
    if isinstance(body, list):
        return body
    return next(value for value in body.values() if isinstance(value, list))


def _odd(good: dict[str, Any]) -> list[Any]:
    """Items that are none: of the wrong type, without a title or time, with a time of no zone."""
    title = next(name for name in ("title", "headline") if name in good)
    times = ("seendate", "datetime", "published_utc", "created_at", "created", "publishedAt")
    stamp = next(name for name in times if name in good)
    return [
        None,
        "an item",
        good | {title: None},
        good | {title: 7},
        good | {title: {"text": "nested"}},
        {name: value for name, value in good.items() if name != stamp},
        good | {stamp: "2012-06-05T10:00:00"},
        good | {stamp: {"utc": 1}},
    ]


def _query_of(request: Request) -> Mapping[str, str]:
    """The parameters of a request; a cursor of Massive's stands for those of the first page."""
    if cursor := request.query.get("cursor"):
        return dict(parse_qsl(base64.urlsafe_b64decode(cursor).decode()))
    return request.query


def _seconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _midnight(text: str) -> int:
    return int(datetime.combine(date.fromisoformat(text), time(), UTC).timestamp())


def _days(first: str, last: str) -> Callable[[Mapping[str, str], int], tuple[int, int]]:
    """A range of UTC days in two parameters, both included; without the last, until now."""

    def window(query: Mapping[str, str], now: int) -> tuple[int, int]:
        end = _midnight(query[last]) + _DAY if last in query else now + 1
        return _midnight(query[first]), end

    return window


def _instants(
    first: str, last: str, *, included: bool
) -> Callable[[Mapping[str, str], int], tuple[int, int]]:
    def window(query: Mapping[str, str], now: int) -> tuple[int, int]:
        end = _seconds(query[last]) + included if last in query else now + 1
        return _seconds(query[first]), end

    return window


def _gdelt_window(query: Mapping[str, str], now: int) -> tuple[int, int]:
    """What it saw in a range it published in the same quarters of an hour."""
    if query.get("timespan") == "1d":
        return now - _DAY, now + 1
    start, end = (
        int(datetime.strptime(query[name], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())
        for name in ("startdatetime", "enddatetime")
    )
    return -(-start // _QUARTER) * _QUARTER, (end // _QUARTER + 1) * _QUARTER


def _numbered(
    number: str, size: str, first: int, most: int
) -> Callable[[Mapping[str, str]], tuple[int, int]]:
    """Pages by number."""

    def page(query: Mapping[str, str]) -> tuple[int, int]:
        count = min(int(query.get(size, "15")), most)
        return (int(query.get(number, first)) - first) * count, count

    return page


def _tokened(token: str, most: int) -> Callable[[Mapping[str, str]], tuple[int, int]]:
    """Pages by a token that tells how many items come before."""

    def page(query: Mapping[str, str]) -> tuple[int, int]:
        return int(query.get(token, "0")), min(int(query.get("limit", "10")), most)

    return page


def _date(item: Item, form: Callable[[datetime], Any]) -> Any:
    return form(item.published_at) if item.date_text is None else item.date_text or None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seen(moment: datetime) -> str:
    quarter = int(moment.timestamp()) // _QUARTER * _QUARTER
    return datetime.fromtimestamp(quarter, UTC).strftime("%Y%m%dT%H%M%SZ")


def _rfc2822(moment: datetime) -> str:
    return format_datetime(moment.astimezone(EXCHANGE_ZONE))


def _gdelt(page: Page) -> Any:
    articles = [
        {
            "title": item.title, "url": item.link, "url_mobile": "", "seendate": _date(item, _seen),
            "socialimage": "", "domain": "sandbox.example", "language": "English",
            "sourcecountry": "United States",
        }
        for item in page.items
    ]  # fmt: skip
    return {"articles": articles} if articles else {}


def _finnhub(page: Page) -> Any:
    return [
        {
            "category": "company", "datetime": _date(item, lambda at: int(at.timestamp())),
            "headline": item.title, "id": item.guid, "image": "", "related": item.ticker,
            "source": SOURCE, "summary": item.summary, "url": item.link,
        }
        for item in page.items
    ]  # fmt: skip


def _massive(page: Page) -> Any:
    results = [
        {
            "id": item.guid, "publisher": {"name": SOURCE}, "title": item.title,
            "published_utc": _date(item, _iso), "article_url": item.link,
            "tickers": [item.ticker], "description": item.summary,
        }
        for item in page.items
    ]  # fmt: skip
    body: dict[str, Any] = {"results": results, "status": "OK", "count": len(results)}
    if page.after is not None:
        query = urlencode({**page.request.query, "before": str(page.after)})
        cursor = base64.urlsafe_b64encode(query.encode()).decode()
        host = page.request.host or "api.massive.com"
        body["next_url"] = f"https://{host}{MASSIVE_NEWS_PATH}?cursor={cursor}"
    return body


def _alpaca(page: Page) -> Any:
    news = [
        {
            "id": item.guid, "headline": item.title, "author": SOURCE,
            "created_at": _date(item, _iso), "updated_at": _date(item, _iso),
            "summary": item.summary, "url": item.link, "symbols": [item.ticker],
        }
        for item in page.items
    ]  # fmt: skip
    return {"news": news, "next_page_token": page.after and str(page.after)}


def _benzinga(page: Page) -> Any:
    return [
        {
            "id": item.guid, "author": SOURCE, "created": _date(item, _rfc2822),
            "updated": _date(item, _rfc2822), "title": item.title, "teaser": item.summary,
            "url": item.link, "stocks": [{"name": item.ticker}],
        }
        for item in page.items
    ]  # fmt: skip


def _newsapi(page: Page) -> Any:
    articles = [
        {
            "source": {"id": None, "name": SOURCE}, "author": None, "title": item.title,
            "description": item.summary, "url": item.link, "publishedAt": _date(item, _iso),
        }
        for item in page.items
    ]  # fmt: skip
    return {"status": "ok", "totalResults": len(articles), "articles": articles}


def _json(body: Any, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _text(status: int, words: str) -> Answer:
    return Answer(status, {"Content-Type": "text/html; charset=utf-8"}, words.encode())


def _header(name: str, before: str = "") -> Callable[[Request], str]:
    return lambda request: (
        request.headers.get(name, "").partition(before)[2]
        if before
        else (request.headers.get(name, ""))
    )


_APIS: Mapping[str, NewsApi] = {
    GDELT_PATH: NewsApi(
        window=_gdelt_window,
        page=lambda query: (0, min(int(query.get("maxrecords", "75")), 250)),
        body=_gdelt,
        key=lambda request: "",
    ),
    FINNHUB_PATH: NewsApi(
        window=_days("from", "to"),
        page=lambda query: (0, 10_000),
        body=_finnhub,
        key=_header("x-finnhub-token"),
        refusal=_json({"error": "Please use an API key."}, 401),
    ),
    MASSIVE_NEWS_PATH: NewsApi(
        window=_instants("published_utc.gte", "published_utc.lt", included=False),
        page=_tokened("before", 1_000),
        body=_massive,
        key=_header("authorization", "Bearer "),
        refusal=_json({"status": "ERROR", "error": "API Key was not provided"}, 401),
    ),
    ALPACA_NEWS_PATH: NewsApi(
        window=_instants("start", "end", included=True),
        page=_tokened("page_token", 50),
        body=_alpaca,
        key=lambda request: (
            request.headers.get("apca-api-key-id", "")
            and request.headers.get("apca-api-secret-key", "")
        ),
        refusal=_json({"message": "forbidden."}, 403),
    ),
    BENZINGA_PATH: NewsApi(
        window=_days("dateFrom", "dateTo"),
        page=_numbered("page", "pageSize", 0, 100),
        body=_benzinga,
        key=lambda request: request.query.get("token", ""),
        refusal=_json({"message": "missing token"}, 401),
    ),
    NEWSAPI_PATH: NewsApi(
        window=_instants("from", "to", included=True),
        page=_numbered("page", "pageSize", 1, 100),
        body=_newsapi,
        key=_header("x-api-key"),
        refusal=_json({"status": "error", "code": "apiKeyMissing", "message": "No key."}, 401),
    ),
}
