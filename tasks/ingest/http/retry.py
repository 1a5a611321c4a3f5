"""How hard to try against a vendor, and when to stop: waits, request budget, deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from pydantic import BaseModel, ConfigDict, Field

from warehouse.tables.batches import Clock


class PatienceSpec(BaseModel):
    """Limits of one run against one vendor. Times in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(default=5, ge=1)
    first_wait: float = Field(default=1.0, gt=0)
    longest_wait: float = Field(default=60.0, gt=0)
    request_budget: int = Field(default=20_000, ge=1)
    deadline: float = Field(default=3600.0, gt=0)
    body_limit: int = Field(default=32 * 1024 * 1024, ge=1)
    redirect_limit: int = Field(default=5, ge=0)


class AllowanceError(RuntimeError):
    """The request budget or the deadline is used up: every further request would fail too."""


class Patience:
    """Counts requests and time against a PatienceSpec. The deadline runs from the first request."""

    def __init__(
        self, spec: PatienceSpec, *, clock: Clock, seed: int, sleep: Callable[[float], None]
    ) -> None:
        self.spec = spec
        self.spent = 0
        self._clock = clock
        self._sleep = sleep
        self._jitter = random.Random(seed)  # noqa: S311 - spreads retries, decides nothing else
        self._ends_at: float | None = None

    def spend(self, what: str) -> None:
        """Count one request for `what`. Raises AllowanceError when none is left."""
        now = time.monotonic()
        if self._ends_at is None:
            self._ends_at = now + self.spec.deadline
        if self.spent >= self.spec.request_budget:
            raise AllowanceError(
                f"The budget of {self.spec.request_budget} requests was used up before {what}; "
                "raise request_budget, or ask for fewer tickers."
            )
        if now >= self._ends_at:
            raise AllowanceError(
                f"The deadline of {self.spec.deadline:g} s passed before {what}; "
                "run again to continue, or raise deadline."
            )
        self.spent += 1

    def wait(self, attempt: int, retry_after: str | None) -> None:
        """Sleep before attempt + 1: doubling, jittered, capped, at least what the vendor asks.

        `retry_after` is the header's text: seconds or an HTTP date (RFC 9110, 10.2.3). Raises
        AllowanceError, without sleeping, when the deadline would pass meanwhile.
        """
        backoff = self.spec.first_wait * 2 ** (attempt - 1) * self._jitter.uniform(0.5, 1.5)
        pause = min(max(backoff, self._asked(retry_after)), self.spec.longest_wait)
        if self._ends_at is not None and time.monotonic() + pause >= self._ends_at:
            raise AllowanceError(
                f"The deadline of {self.spec.deadline:g} s leaves no room for the next attempt, "
                f"due in {pause:.1f} s; run again to continue, or raise deadline."
            )
        self._sleep(pause)

    def _asked(self, retry_after: str | None) -> float:
        text = (retry_after or "").strip()
        if text.isdigit():
            return float(text)
        try:
            return max(0.0, (parsedate_to_datetime(text) - self._clock()).total_seconds())
        except (TypeError, ValueError):
            return 0.0
