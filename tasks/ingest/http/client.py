"""Fetching from hosts nobody vouches for: bounded in size, time, hops, retries and reach.

Every hop of every request passes one guard. It admits http and https only, and connects to the
very address it has checked, so that neither a redirect nor a name server can lead inside.
"""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType

import httpx
from pydantic import BaseModel, ConfigDict, Field

from tasks.ingest.http.guard import FeedFetchError, GuardedTransport, PassingFaultError
from warehouse.storage.landing import Payload
from warehouse.tables.batches import Clock

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_KEPT_HEADERS = ("content-type", "content-language", "date", "etag", "last-modified")


class FeedLimits(BaseModel):
    """What one client may cost us. Sizes in bytes, times as durations.

    `wire_bytes` bounds what is received, `body_bytes` what it unpacks to. `deadline` covers one
    attempt with all its redirects. `requests` is the budget of the client's whole life, retries
    and redirects not counted. `private_hosts` names hosts that may have a private address.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    wire_bytes: int = Field(default=4 << 20, gt=0)
    body_bytes: int = Field(default=8 << 20, gt=0)
    deadline: timedelta = timedelta(seconds=30)
    redirects: int = Field(default=5, ge=0)
    attempts: int = Field(default=4, ge=1)
    first_wait: timedelta = timedelta(seconds=1)
    longest_wait: timedelta = timedelta(seconds=60)
    requests: int = Field(default=20_000, ge=1)
    private_hosts: tuple[str, ...] = ()
    user_agent: str = "newsvane/0.1"


class FeedClient:
    """Fetches bodies within its limits. Use as a context manager; threads may share it."""

    def __init__(
        self,
        http: httpx.Client,
        limits: FeedLimits,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: random.Random | None = None,
    ) -> None:
        self.limits = limits
        self._http = http
        self._sleep = sleep
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, nothing else
        self._spent = 0

    def __enter__(self) -> FeedClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def fetch(self, url: str, *, source: str, clock: Clock, held: Payload | None = None) -> Payload:
        """The answer at `url`; `held`, unless it changed, when the server can tell.

        Passing faults (429, 5xx, broken connections) are retried with capped, jittered waits,
        or as long as Retry-After asks. Raises FeedFetchError when a limit is met, the address is
        forbidden, the server refuses, or every attempt failed.
        """
        if self._spent >= self.limits.requests:
            raise FeedFetchError(
                f"{url} was not asked for: the budget of {self.limits.requests} requests is "
                "spent. Run again to go on where this run stopped, or raise the budget."
            )
        self._spent += 1
        for attempt in range(1, self.limits.attempts):
            try:
                return self._attempt(url, source, clock, held)
            except PassingFaultError as fault:
                self._sleep(self._wait(attempt, fault))
        try:
            return self._attempt(url, source, clock, held)
        except PassingFaultError as fault:
            raise FeedFetchError(f"{fault} It was tried {self.limits.attempts} times.") from fault

    def _wait(self, attempt: int, fault: PassingFaultError) -> float:
        longest = self.limits.longest_wait.total_seconds()
        if fault.retry_after is not None:
            if fault.retry_after > longest:
                raise FeedFetchError(
                    f"{fault} The server asks to wait {fault.retry_after:.0f} s, longer than the "
                    f"{longest:.0f} s this client waits; run again later."
                ) from fault
            return fault.retry_after
        ceiling = min(longest, self.limits.first_wait.total_seconds() * 2 ** (attempt - 1))
        return self._jitter.uniform(ceiling / 2, ceiling)

    def _attempt(self, url: str, source: str, clock: Clock, held: Payload | None) -> Payload:
        expires_at = time.monotonic() + self.limits.deadline.total_seconds()
        try:
            with self._http.stream(
                "GET",
                url,
                headers=_conditions(held),
                extensions={"expires_at": expires_at},
            ) as response:
                if response.status_code == 304 and held is not None:
                    return held
                if response.status_code != 200:
                    raise _failed_answer(url, response, clock())
                body = self._read_body(url, response)
        except httpx.TooManyRedirects as error:
            raise FeedFetchError(
                f"{url} redirects more than {self.limits.redirects} times; check the address."
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.RemoteProtocolError) as error:
            raise FeedFetchError(f"{url} is or leads to no usable address: {error}.") from error
        headers = {name: response.headers.get(name) for name in _KEPT_HEADERS}
        kept = tuple((name, value) for name, value in headers.items() if value is not None)
        return Payload(source, url, response.status_code, kept, body, clock())

    def _read_body(self, url: str, response: httpx.Response) -> bytes:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip", "x-gzip", ""}:
            raise FeedFetchError(f"{url} came as {encoding!r}, which was not asked for.")
        unpack = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        body, received = bytearray(), 0
        for chunk in response.iter_raw():
            received += len(chunk)
            if received > self.limits.wire_bytes:
                raise FeedFetchError(_too_large(url, self.limits.wire_bytes, "on the wire"))
            room = self.limits.body_bytes - len(body) + 1
            try:
                body += unpack.decompress(chunk, room) if unpack else chunk
            except zlib.error as error:
                raise PassingFaultError(f"{url} sent a damaged gzip stream: {error}.") from error
            if len(body) > self.limits.body_bytes:
                raise FeedFetchError(_too_large(url, self.limits.body_bytes, "unpacked"))
        if unpack and received and not unpack.eof:
            raise PassingFaultError(f"{url} broke off its gzip stream.")
        return bytes(body)


def feed_client(
    redirect_to: str | None,
    limits: FeedLimits,
    *,
    sleep: Callable[[float], None] = time.sleep,
    jitter: random.Random | None = None,
) -> FeedClient:
    """A client for feeds.

    With `redirect_to` (`http://host:port`) every admitted request goes there; the original host
    then travels in the header X-Sandbox-Host, and names are not looked up.
    """
    http = httpx.Client(
        transport=GuardedTransport(redirect_to, frozenset(limits.private_hosts)),
        headers={"User-Agent": limits.user_agent, "Accept-Encoding": "gzip"},
        timeout=limits.deadline.total_seconds(),
        follow_redirects=True,
        max_redirects=limits.redirects,
        # A proxy named in the environment would resolve names for us, past the guard.
        trust_env=False,
    )
    return FeedClient(http, limits, sleep=sleep, jitter=jitter)


def _conditions(held: Payload | None) -> dict[str, str]:
    """The request headers that ask for a newer version than `held` only (RFC 9110, section 13)."""
    if held is None:
        return {}
    known = dict(held.headers)
    named = {"If-None-Match": known.get("etag"), "If-Modified-Since": known.get("last-modified")}
    return {name: value for name, value in named.items() if value}


def _failed_answer(url: str, response: httpx.Response, now: datetime) -> FeedFetchError:
    message = f"{url} answered HTTP {response.status_code}; expected 200."
    if response.status_code not in _PASSING:
        return FeedFetchError(message)
    return PassingFaultError(message, _seconds_to_wait(response.headers.get("retry-after"), now))


def _seconds_to_wait(retry_after: str | None, now: datetime) -> float | None:
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def _too_large(url: str, limit: int, where: str) -> str:
    return f"{url} sends more than {limit} bytes {where}; the rest was not read."
