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


class RetryPolicy(BaseModel):
    """When a request that met a transient fault is sent again; waits double from the first on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(default=5, ge=1)
    first_wait: timedelta = Field(default=timedelta(seconds=1), gt=timedelta(0))
    longest_wait: timedelta = Field(default=timedelta(seconds=60), gt=timedelta(0))

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
    """What one client may cost. Sizes in bytes, times as durations.

    `requests` is the budget of the client's whole life, retries counted; `run_deadline` runs from
    its first request. `body_bytes` bounds what one answer unpacks to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    retry: RetryPolicy = RetryPolicy()
    requests: int = Field(default=20_000, ge=1)
    run_deadline: timedelta | None = Field(default=None, gt=timedelta(0))
    redirects: int = Field(default=5, ge=0)
    body_bytes: int = Field(default=8 << 20, gt=0)


class PriceLimits(HttpLimits):
    """The limits of the price vendor's client."""

    run_deadline: timedelta | None = Field(default=timedelta(hours=1), gt=timedelta(0))
    body_bytes: int = Field(default=32 << 20, gt=0)


class FeedLimits(HttpLimits):
    """The limits of the feeds' client.

    `wire_bytes` bounds what is received of one answer. `deadline` covers one attempt with all its
    redirects. `private_hosts` names hosts that may have a private address. `rates` are the most
    requests a second to a host and all below it, redirects and retries counted.
    """

    wire_bytes: int = Field(default=4 << 20, gt=0)
    deadline: timedelta = timedelta(seconds=30)
    private_hosts: tuple[str, ...] = ()
    user_agent: str = "newsvane/0.1"
    rates: dict[str, float] = Field(default_factory=lambda: {"sec.gov": 10.0})

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
    """Counts one client's requests and time against its limits, and retries within them."""

    def __init__(
        self,
        limits: HttpLimits,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: random.Random | None = None,
    ) -> None:
        self.limits = limits
        self.spent = 0
        self._sleep = sleep
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, nothing else
        self._ends_at: float | None = None

    def retrying(self, send: Callable[[], T], url: str, clock: Clock) -> T:
        """What `send` returns, sent again after each TransientError as the policy allows.

        Raises BudgetError when budget or deadline is used up, FetchError when the server asks for
        a longer wait than the policy has, and the last TransientError when every attempt failed.
        """
        attempts = self.limits.retry.attempts
        for attempt in range(1, attempts):
            self._spend(url)
            try:
                return send()
            except TransientError as fault:
                self._pause(attempt, fault, clock())
        self._spend(url)
        try:
            return send()
        except TransientError as fault:
            message = f"{fault} It was tried {attempts} times."
            last = TransientError(message, fault.retry_after, fault.answer, fault.status)
            raise last from fault.__cause__

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

    def _pause(self, attempt: int, fault: TransientError, now: datetime) -> None:
        pause = self.limits.retry.wait(attempt, fault, now, self._jitter)
        if self._ends_at is not None and time.monotonic() + pause >= self._ends_at:
            raise BudgetError(
                f"{fault} The {self._deadline()} leaves no room for the next attempt, due in "
                f"{pause:.1f} s; run again to continue, or raise run_deadline."
            ) from fault
        self._sleep(pause)

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
