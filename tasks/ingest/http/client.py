"""Fetching from untrusted hosts: bounded in size, time, hops, retries and reach.

Every hop of every request passes one guard. It admits http and https only, and connects to the
very address it has checked, so that neither a redirect nor a name server can lead inside.
"""

from __future__ import annotations

import logging
import random
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from urllib.parse import urlencode, urlsplit

import httpx

from tasks.ingest.http.guard import GuardedTransport
from tasks.ingest.http.hosts import Hosts
from tasks.ingest.http.redaction import (
    MissingSecretError,
    RedactingFilter,
    Secrets,
    no_secrets,
    redacted,
    resolved,
    resolved_header,
    without_known_bytes,
)
from tasks.ingest.http.retry import (
    FeedLimits,
    FetchError,
    Pace,
    PriceLimits,
    RequestBudget,
    TransientError,
    is_retryable,
)
from warehouse.storage.landing import Payload
from warehouse.tables.batches import Clock

Busy = Callable[[bytes], str | None]
"""The words in which an answer with status 200 says that it comes too soon after others, if so."""

_GZIP = b"\x1f\x8b"
logging.getLogger("httpx").addFilter(RedactingFilter())  # it logs the address of each request
_KEPT_HEADERS = ("content-type", "content-language", "date", "etag", "last-modified")


class FeedClient:
    """Fetches bodies within its limits. Use as a context manager; threads may share it."""

    def __init__(
        self,
        http: httpx.Client,
        limits: FeedLimits,
        budget: RequestBudget,
        secrets: Secrets = no_secrets,
    ) -> None:
        self.limits = limits
        self._secrets = secrets
        self._http = http
        self._budget = budget

    def __enter__(self) -> FeedClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def fetch(
        self,
        url: str,
        *,
        source: str,
        clock: Clock,
        cached: Payload | None = None,
        shown: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        busy: Busy | None = None,
    ) -> Payload:
        """The answer at `url`; `cached`, unless it changed, when the server can tell.

        `url` may refer to secrets; the Payload and errors bear `shown` instead, by default the
        address with its secrets hidden. `headers` are sent besides and may refer to secrets, too;
        they go to the scheme and host of `url` alone, wherever a redirect leads. `query` are
        further parameters, none of them secret whatever they are called. Secrets that were sent
        are hidden in the body.

        Transient faults (429, 5xx, broken connections, an answer that `busy` finds words in) are
        retried by the policy of the limits. What came at last of a body that broke off or was busy
        every time is the `answer` of the TransientError: a Payload. A gzip body is unpacked even if
        no header names it. Raises FetchError when a limit is met, the address is forbidden, the
        server refuses, or every attempt failed; HostGivenUpError, one of them, without asking a
        host that gave nothing before.
        """
        public = redacted(url) if shown is None else shown
        try:
            address = resolved(url, self._secrets)
            besides = {
                name: resolved_header(value, self._secrets)
                for name, value in (headers or {}).items()
            }
            if query:
                address += ("&" if "?" in address else "?") + urlencode(query)
        except MissingSecretError as error:
            raise FetchError(str(error)) from error

        host = (urlsplit(address).hostname or "").lower()

        def send() -> Payload:
            payload = self._attempt(address, host, public, source, clock, cached, besides)
            if busy is not None and (words := busy(payload.body)):
                raise TransientError(f"{public} answered: {words}", answer=payload, status=429)
            return payload

        return self._budget.retrying(send, public, host, clock)

    def _attempt(
        self,
        address: str,
        host: str,
        url: str,
        source: str,
        clock: Clock,
        cached: Payload | None,
        besides: Mapping[str, str],
    ) -> Payload:
        seconds = min(self.limits.deadline.total_seconds(), self._budget.seconds_left(host))
        expires_at = time.monotonic() + seconds
        try:
            with self._http.stream(
                "GET",
                address,
                headers={**besides, **_conditions(cached)},
                extensions={"expires_at": expires_at, "confined": (address, tuple(besides))},
            ) as response:
                if response.status_code == 304 and cached is not None:
                    return cached
                if response.status_code != 200:
                    raise _failed(url, response)
                body, fault = self._read_body(url, response)
        except httpx.TooManyRedirects as error:
            raise FetchError(
                f"{url} redirects more than {self.limits.redirects} times; check the address."
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.RemoteProtocolError) as error:
            raise FetchError(f"{url} is or leads to no usable address: {error}.") from error
        headers = {name: response.headers.get(name) for name in _KEPT_HEADERS}
        kept = tuple((name, value) for name, value in headers.items() if value is not None)
        body = without_known_bytes(body)
        payload = Payload(source, url, response.status_code, kept, body, clock())
        if fault is not None:
            raise TransientError(str(fault), answer=payload if body else None) from fault
        return payload

    def _read_body(self, url: str, response: httpx.Response) -> tuple[bytes, TransientError | None]:
        """The body, unpacked, and what broke it off, if something did."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip", "x-gzip", ""}:
            raise FetchError(f"{url} came as {encoding!r}, which was not requested.")
        sent, fault = bytearray(), None
        try:
            for block in response.iter_raw():
                sent += block
                if len(sent) > self.limits.wire_bytes:
                    raise FetchError(_too_large(url, self.limits.wire_bytes, "on the wire"))
        except TransientError as error:
            fault = error
        body = bytes(sent)
        # A file that was packed beforehand may come without the header, or packed once more.
        for _ in range(2):
            if body.startswith(_GZIP):
                body, broken = self._unpacked(url, body)
                fault = fault or broken
        if "gzip" in encoding and sent and not sent.startswith(_GZIP):
            raise TransientError(f"{url} sent a damaged gzip stream: it does not begin as one.")
        if len(body) > self.limits.body_bytes:
            raise FetchError(_too_large(url, self.limits.body_bytes, "unpacked"))
        return body, fault

    def _unpacked(self, url: str, packed: bytes) -> tuple[bytes, TransientError | None]:
        unpack = zlib.decompressobj(wbits=31)
        try:
            body = unpack.decompress(packed, self.limits.body_bytes + 1)
        except zlib.error as error:
            raise TransientError(f"{url} sent a damaged gzip stream: {error}.") from error
        if len(body) > self.limits.body_bytes:
            raise FetchError(_too_large(url, self.limits.body_bytes, "unpacked"))
        return body, None if unpack.eof else TransientError(f"{url} broke off its gzip stream.")


def feed_client(
    redirect_to: str | None,
    limits: FeedLimits,
    *,
    sleep: Callable[[float], None] = time.sleep,
    jitter: random.Random | None = None,
    secrets: Secrets = no_secrets,
    hosts: Hosts | None = None,
) -> FeedClient:
    """A client for feeds.

    With `redirect_to` (`http://host:port`) every admitted request goes there; the original host
    then travels in the header X-Sandbox-Host, and names are not looked up. `secrets` are those to
    which addresses refer and that the environment lacks. `hosts` is what the run's clients share.
    """
    pace = Pace(limits.rates, sleep)
    http = httpx.Client(
        transport=GuardedTransport(redirect_to, frozenset(limits.private_hosts)),
        headers={"User-Agent": limits.user_agent, "Accept-Encoding": "gzip"},
        timeout=limits.deadline.total_seconds(),
        follow_redirects=True,
        max_redirects=limits.redirects,
        # Called before every hop.
        event_hooks={"request": [lambda request: pace.wait(request.url.host)]},
        # A proxy named in the environment would resolve names for us, past the guard.
        trust_env=False,
    )
    budget = RequestBudget(limits, sleep=sleep, jitter=jitter, hosts=hosts)
    return FeedClient(http, limits, budget, secrets)


def price_client(
    redirect_to: str | None,
    limits: PriceLimits,
    deadline: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    secrets: Secrets = no_secrets,
    hosts: Hosts | None = None,
) -> FeedClient:
    """A client for one vendor of prices, within the limits of prices; `deadline` in seconds.

    The rest is as in `feed_client`.
    """
    bounds = {**limits.model_dump(), "wire_bytes": limits.body_bytes, "deadline": deadline}
    chosen = FeedLimits.model_validate(bounds)
    return feed_client(redirect_to, chosen, sleep=sleep, secrets=secrets, hosts=hosts)


def _conditions(cached: Payload | None) -> dict[str, str]:
    """Request headers that ask for a newer version than `cached` only (RFC 9110, section 13)."""
    if cached is None:
        return {}
    known = dict(cached.headers)
    named = {"If-None-Match": known.get("etag"), "If-Modified-Since": known.get("last-modified")}
    return {name: value for name, value in named.items() if value}


def _failed(url: str, response: httpx.Response) -> FetchError:
    message = f"{url} answered HTTP {response.status_code}; expected 200."
    if not is_retryable(response.status_code):
        return FetchError(message, response.status_code)
    wait = response.headers.get("retry-after")
    return TransientError(message, wait, status=response.status_code)


def _too_large(url: str, limit: int, where: str) -> str:
    return f"{url} sends more than {limit} bytes {where}; the rest was not read."
