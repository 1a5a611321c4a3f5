"""The HTTP session under the real yfinance client: redirectable, recorded, retried and bounded.

The session speaks to hosts below yahoo.com alone. With `redirect_to` it sends every request to
that origin instead (a vendor on loopback) and names the original host in X-Sandbox-Host.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from curl_cffi.requests import Response, Session
from curl_cffi.requests.exceptions import ConnectionError as Unconnected
from curl_cffi.requests.exceptions import RequestException

from tasks.ingest.http.hosts import Hosts
from tasks.ingest.http.redaction import redacted
from tasks.ingest.http.retry import (
    FetchError,
    HostGivenUpError,
    PriceLimits,
    RequestBudget,
    TransientError,
    UnreachableError,
    is_retryable,
)
from warehouse.tables.batches import Clock

CHART_PATH = "/v8/finance/chart/"
_CURL_ABORT = 0xFFFFFFFF
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ERRAND = 0.25
"""The share of the time for a chart that the request for a cookie, or for a crumb, may take."""
_LEAST = 0.1
"""Seconds that a request may take at least: none would mean to curl that there is no limit."""
_SECRET_PARAMETERS = frozenset({"crumb"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: the vendor's own URL less its session tokens, and the body as received."""

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class LenientResponse(Response):  # type: ignore[misc]
    """Reads NaN and Infinity in JSON as numbers: one bad cell must not hide a whole answer.

    A chart reaches the client without its events: it would merge them with the bars, and move or
    lose what does not match a day. They are read from the body as it was landed.
    """

    def json(self, **options: Any) -> Any:
        """The body as JSON; raises json.JSONDecodeError when it is none."""
        answer = json.loads(self.content, **options)
        try:
            answer["chart"]["result"][0].pop("events", None)
        except (LookupError, TypeError, AttributeError):
            return answer
        return answer


class YahooSession(Session):  # type: ignore[misc]
    """A curl_cffi session, as yfinance requires, with one outlet for every request."""

    def __init__(self, redirect_to: str | None, budget: RequestBudget, clock: Clock) -> None:
        browser = {} if redirect_to else {"impersonate": "chrome"}
        super().__init__(response_class=LenientResponse, allow_redirects=False, **browser)
        self._limits = budget.limits
        self._budget = budget
        self._clock = clock
        self._redirect_to = redirect_to
        self._errands = 0.0
        self._charts_host = ""
        self.record: Callable[[Answer], None] = lambda _: None

    @contextmanager
    def recording(self, record: Callable[[Answer], None]) -> Iterator[None]:
        """Hand every answer to `record` before the client sees it."""
        self.record, previous = record, self.record
        try:
            yield
        finally:
            self.record = previous

    def require_charts(self) -> None:
        """Raises HostGivenUpError when the host of the charts is not asked any more.

        yfinance would ask for a cookie all the same, and warn of it once a ticker.
        """
        self._budget.require_host(self._charts_host)

    def request(self, method: str, url: str, **options: Any) -> Response:
        """Send with retries, following redirects within yahoo.com.

        Raises FetchError on a refused host, an endless answer, a used-up budget or a host that is
        given up, and curl_cffi's own exception when the last attempt fails.
        """
        options.pop("allow_redirects", None)
        url = _with_query(url, options.pop("params", None) or {})
        for _ in range(self._limits.redirects + 1):
            response = self._persistently(method, url, options)
            target = response.headers.get("location")
            if response.status_code not in _REDIRECTS or not target:
                return response
            url, method = urljoin(url, target), "GET"
            options = {name: options[name] for name in ("timeout",) if name in options}
        raise FetchError(
            f"{_public(url)} is one redirect more than the {self._limits.redirects} allowed."
        )

    def _persistently(self, method: str, url: str, options: dict[str, Any]) -> Response:
        """Retry 429, 5xx and broken connections; the last attempt stands as it came.

        What is asked for besides charts, a cookie and a crumb, yfinance does without: it gets one
        attempt and a part of the time in which the chart must come.
        """
        parts, budget, hosts = urlsplit(url), self._budget, self._budget.hosts
        host, is_chart = (parts.hostname or "").lower(), parts.path.startswith(CHART_PATH)
        if is_chart:
            hosts.charge(host, self._errands)
            self._errands, self._charts_host = 0.0, host

        def send() -> Response:
            seconds = budget.seconds_left(host) * (1.0 if is_chart else _ERRAND)
            seconds = max(seconds, _LEAST)
            usual = options.get("timeout") or seconds
            timely = options | {"timeout": min(seconds, usual)}
            response = self.send_once(method, url, timely)
            if not is_retryable(response.status_code):
                return response
            message = f"{_public(url)} answered HTTP {response.status_code}; expected 200."
            raise TransientError(message, response.headers.get("retry-after"), response)

        began = hosts.now()
        try:
            return budget.retrying(send, _public(url), host, self._clock, None if is_chart else 1)
        except HostGivenUpError as fault:
            if is_chart:
                raise
            raise Unconnected(str(fault)) from None  # which yfinance takes for no cookie
        except TransientError as fault:
            # yfinance has errors of its own for the last answer and the last broken connection.
            if fault.answer is not None:
                return fault.answer
            if not is_chart:
                self._errands += hosts.now() - began
            raise (fault.__cause__ or fault) from None

    def send_once(self, method: str, url: str, options: dict[str, Any]) -> Response:
        """One request, one answer, recorded; what a session that answers otherwise overrides."""
        target, headers = self._route(url)
        body = _BoundedBody(self._limits.body_bytes)
        options = options | {"headers": {**(options.get("headers") or {}), **headers}}
        try:
            response = super().request(method, target, **options, content_callback=body.receive)
        except RequestException as error:
            if body.overflowed:
                raise FetchError(
                    f"{_public(url)} answered with more than {body.limit} bytes; "
                    "raise body_bytes if that is expected."
                ) from error
            kind = TransientError if body.content else UnreachableError
            raise kind(f"{_public(url)}: {error}.") from error
        response.content = body.content
        answered = tuple(sorted((name.lower(), text) for name, text in response.headers.items()))
        self.record(Answer(_public(url), response.status_code, answered, body.content))
        return response

    def _route(self, url: str) -> tuple[str, dict[str, str]]:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme not in {"http", "https"} or not f".{host}".endswith(".yahoo.com"):
            raise FetchError(
                f"Refused to follow the price vendor to {_public(url)}: expected http(s) on a host "
                "of yahoo.com."
            )
        if self._redirect_to is None:
            return url, {}
        origin = urlsplit(self._redirect_to)
        swapped = parts._replace(scheme=origin.scheme, netloc=origin.netloc)
        return urlunsplit(swapped), {"X-Sandbox-Host": host}


class _BoundedBody:
    """Collects a body as curl decompresses it and breaks the transfer off beyond the limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._blocks: list[bytes] = []
        self._size = 0

    @property
    def overflowed(self) -> bool:
        return self._size > self.limit

    @property
    def content(self) -> bytes:
        return b"".join(self._blocks)

    def receive(self, block: bytes) -> int:
        self._size += len(block)
        if self.overflowed:
            return _CURL_ABORT
        self._blocks.append(block)
        return len(block)


def yahoo_session(
    redirect_to: str | None,
    limits: PriceLimits | None = None,
    *,
    clock: Clock,
    seed: int = 0,
    sleep: Callable[[float], None] = time.sleep,
    hosts: Hosts | None = None,
) -> YahooSession:
    """A session for yfinance: to the real Yahoo, or with `redirect_to` to that origin instead.

    `clock` dates a Retry-After given as a date; `seed` fixes the jitter of the waits. Budget and
    deadline in `limits` hold for the session's whole life. `hosts` is what the run's clients share.
    """
    jitter = random.Random(seed)  # noqa: S311 - spreads retries, decides nothing else
    budget = RequestBudget(limits or PriceLimits(), sleep=sleep, jitter=jitter, hosts=hosts)
    return YahooSession(redirect_to, budget, clock)


def _with_query(url: str, query: dict[str, Any]) -> str:
    parts = urlsplit(url)
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *query.items()]
    return urlunsplit(parts._replace(query=urlencode(pairs)))


def _public(url: str) -> str:
    """The URL less session secrets: it identifies the request, and is stored and shown."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    shown = [(name, value) for name, value in pairs if name not in _SECRET_PARAMETERS]
    return redacted(urlunsplit(parts._replace(query=urlencode(shown))))
