"""Limits of HTTP clients, and one retry policy: how often, after how long, and when to stop."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.ingest.http.hosts import Hosts
from tasks.ingest.http.redaction import redacted
from warehouse.tables.batches import Clock

T = TypeVar("T")
_RETRYABLE = frozenset({408, 425, 429})


class FetchError(RuntimeError):
    """A request failed for good; the message says what was met and what to do.

    It goes to the terminal, the ledger, reports and Prefect: addresses in it keep no secret.
    `status` is the HTTP status that was answered, if one was.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(redacted(message))
        self.status = status


class BudgetError(FetchError):
    """The request budget or the deadline is used up: every further request would fail too."""


class TransientError(FetchError):
    """A fault that may be gone at the next attempt.

    `retry_after` is the header's text, `answer` the response that was no success, if there is one.
    """

    def __init__(
        self,
        message: str,
        retry_after: str | None = None,
        answer: object | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, status)
        self.retry_after = retry_after
        self.answer = answer


class UnreachableError(TransientError):
    """The host gave no answer at all: it was not found, took no connection or stayed silent."""


class LateError(FetchError):
    """The answer was still coming when its time was over."""


class HostGivenUpError(FetchError):
    """The host gave nothing to an earlier request of the run, and is not asked again in it."""


class RetryPolicy(BaseModel):
    """When a request that met a transient fault is sent again; waits double from the first on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(default=5, ge=1)
    """How often a request is sent in all."""
    first_wait: timedelta = Field(default=timedelta(seconds=1), gt=timedelta(0))
    """Wait before the second attempt."""
    longest_wait: timedelta = Field(default=timedelta(seconds=60), gt=timedelta(0))
    """Longest wait; a server that asks for a longer one is not asked again."""

    def wait(
        self, attempt: int, fault: TransientError, now: datetime, jitter: random.Random
    ) -> float:
        """Seconds before attempt + 1: jittered, capped, at least what Retry-After asks for.

        Raises FetchError when the server asks for more than `longest_wait`.
        """
        longest = self.longest_wait.total_seconds()
        required = _seconds(fault.retry_after, now)
        if required > longest:
            raise FetchError(
                f"{fault} The server asks to wait {required:.0f} s, longer than the {longest:g} s "
                "this client waits; run again later.",
                fault.status,
            ) from fault
        ceiling = min(longest, self.first_wait.total_seconds() * 2 ** (attempt - 1))
        return max(jitter.uniform(ceiling / 2, ceiling), required)


class HttpLimits(BaseModel):
    """What one client may cost. Sizes in bytes, times as durations."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retry: RetryPolicy = RetryPolicy()
    requests: int = Field(default=20_000, ge=1)
    """Budget of the client's whole life, retries counted."""
    run_deadline: timedelta | None = Field(default=None, gt=timedelta(0))
    """Time for the whole run from its first request; none: no limit."""
    host_deadline: timedelta = Field(default=timedelta(seconds=30), gt=timedelta(0))
    """What failing requests to one host may take, waits counted, until it gives something: one that
    has spent it, and one that gave no answer in all attempts of a request, is not asked again in
    the run."""
    redirects: int = Field(default=5, ge=0)
    """Most redirects that one request follows."""
    body_bytes: int = Field(default=8 << 20, gt=0)
    """Most bytes that one answer unpacks to."""


class PriceLimits(HttpLimits):
    """The limits of the price vendor's client."""

    run_deadline: timedelta | None = Field(default=timedelta(hours=1), gt=timedelta(0))
    """Time for the whole run from its first request; none: no limit."""
    body_bytes: int = Field(default=32 << 20, gt=0)
    """Most bytes that one answer unpacks to."""


class FeedLimits(HttpLimits):
    """The limits of the feeds' client."""

    wire_bytes: int = Field(default=4 << 20, gt=0)
    """Most bytes that are received of one answer."""
    deadline: timedelta = timedelta(seconds=30)
    """Time for one attempt with all its redirects."""
    private_hosts: tuple[str, ...] = ()
    """Hosts that may have a private address."""
    user_agent: str = "newsvane/0.1"
    """What the client calls itself; some publishers ask for an address of yours in it."""
    rates: dict[str, float] = Field(default_factory=lambda: {"sec.gov": 10.0})
    """Most requests a second to a host and all below it, redirects and retries counted."""

    @field_validator("rates")
    @classmethod
    def _positive(cls, rates: dict[str, float]) -> dict[str, float]:
        for host, rate in rates.items():
            if not rate > 0:
                raise ValueError(f"{host}: {rate} requests a second; expected more than none")
        return rates

    def with_rates(self, wanted: Mapping[str, float]) -> FeedLimits:
        """These limits, and the rates of further hosts; a rate of these counts instead."""
        # Of several that fit a host the first one counts.
        return self.model_copy(update={"rates": self.rates | dict(wanted) | self.rates})

    @property
    def names_contact(self) -> bool:
        """Whether the user agent tells how to reach whoever asks, as the SEC requires."""
        return re.search(r"[^\s@]+@[^\s@]+\.\w+", self.user_agent) is not None


class Pace:
    """Spaces the requests to hosts evenly. Threads may share it."""

    def __init__(
        self,
        rates: Mapping[str, float],
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates, self._sleep, self._now = rates, sleep, now
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, host: str) -> None:
        """Return when a request to `host` is due; it is then taken for sent."""
        named = next((one for one in self._rates if f".{host}".endswith(f".{one}")), None)
        if named is None:
            return
        with self._lock:
            now = self._now()
            due = max(now, self._next.get(named, now))
            self._next[named] = due + 1 / self._rates[named]
        if due > now:
            self._sleep(due - now)


class RequestBudget:
    """Counts one client's requests and time against its limits, and retries within them.

    `hosts` is what the clients of a run know of their hosts.
    """

    def __init__(
        self,
        limits: HttpLimits,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: random.Random | None = None,
        hosts: Hosts | None = None,
    ) -> None:
        self.limits = limits
        self.spent = 0
        self.hosts = hosts or Hosts()
        self._sleep = sleep
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, nothing else
        self._ends_at: float | None = None

    def seconds_left(self, host: str) -> float:
        """What is left of the time in which a host must give something."""
        return self.hosts.seconds_left(host, self.limits.host_deadline.total_seconds())

    def require_host(self, host: str) -> None:
        """Raises HostGivenUpError for a host that is not asked any more."""
        if (fault := self.hosts.fault(host)) is not None:
            raise HostGivenUpError(fault)

    def retrying(
        self, send: Callable[[], T], url: str, host: str, clock: Clock, attempts: int | None = None
    ) -> T:
        """What `send` returns, sent again after each TransientError as the policy allows.

        `attempts`: fewer than the policy has. Raises HostGivenUpError for a host that is not asked
        any more, BudgetError when budget or deadline is used up, FetchError when the server asks
        for a longer wait than the policy has, and the last TransientError when every attempt
        failed or the host's time is over.
        """
        self.require_host(host)
        usual = self.limits.retry.attempts
        most = self.hosts.attempts(host, min(usual, attempts or usual))
        for attempt in range(1, most + 1):
            self._spend(url)
            began = self.hosts.now()
            try:
                answer = send()
            except TransientError as fault:
                self.hosts.spent(host, began)
                if attempt == most:
                    raise self._given_up(fault, host, attempt) from fault.__cause__
                self._pause(attempt, fault, host, clock())
            except FetchError as fault:
                self._noted(fault, host, began)
                raise
            else:
                self.hosts.answered(host)
                return answer
        raise AssertionError("a loop of at least one attempt returns or raises")

    def _noted(self, fault: FetchError, host: str, began: float) -> None:
        """Note what a fault that is final says of its host: it answered, or took its time."""
        if isinstance(fault, LateError):
            self.hosts.spent(host, began)
            deadline = self.limits.host_deadline.total_seconds()
            self.hosts.failed(host, str(fault), silent=False, deadline=deadline)
        elif fault.status is not None:
            self.hosts.answered(host)

    def _given_up(self, fault: TransientError, host: str, attempt: int) -> TransientError:
        """The last fault of a request, noted against its host."""
        deadline = self.limits.host_deadline.total_seconds()
        silent = isinstance(fault, UnreachableError)
        self.hosts.failed(host, str(fault), silent=silent, deadline=deadline)
        kind = UnreachableError if silent else TransientError
        message = f"{fault} It was tried {attempt} time{'s' * (attempt > 1)}."
        return kind(message, fault.retry_after, fault.answer, fault.status)

    def _spend(self, url: str) -> None:
        now, deadline = time.monotonic(), self.limits.run_deadline
        if self._ends_at is None and deadline is not None:
            self._ends_at = now + deadline.total_seconds()
        if self.spent >= self.limits.requests:
            raise BudgetError(
                f"{url} was not requested: the budget of {self.limits.requests} requests is "
                "spent. Run again to go on where this run stopped, or raise requests."
            )
        if self._ends_at is not None and now >= self._ends_at:
            raise BudgetError(
                f"{url} was not requested: the {self._deadline()} passed. "
                "Run again to go on where this run stopped, or raise run_deadline."
            )
        self.spent += 1

    def _pause(self, attempt: int, fault: TransientError, host: str, now: datetime) -> None:
        """Wait for the next attempt; raises the fault when the host has no time left for it."""
        pause = self.limits.retry.wait(attempt, fault, now, self._jitter)
        if self._ends_at is not None and time.monotonic() + pause >= self._ends_at:
            raise BudgetError(
                f"{fault} The {self._deadline()} leaves no room for the next attempt, due in "
                f"{pause:.1f} s; run again to continue, or raise run_deadline."
            ) from fault
        if fault.retry_after is not None:
            self._sleep(pause)  # it speaks, and says when: that is no time spent in vain
            return
        if pause >= self.seconds_left(host):
            raise self._given_up(fault, host, attempt) from fault.__cause__
        began = self.hosts.now()
        self._sleep(pause)
        self.hosts.spent(host, began)

    def _deadline(self) -> str:
        deadline = self.limits.run_deadline
        return f"deadline of {deadline.total_seconds() if deadline else 0:g} s"


def is_retryable(status: int) -> bool:
    """Whether an HTTP status may be another one at the next attempt."""
    return status in _RETRYABLE or status >= 500


def _seconds(retry_after: str | None, now: datetime) -> float:
    """What Retry-After asks for, in seconds or as an HTTP date (RFC 9110, section 10.2.3)."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())
