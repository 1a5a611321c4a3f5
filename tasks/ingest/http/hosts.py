"""Availability of the hosts of one run: who answers, who is given up, and whether anybody does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_IN_A_ROW = 2
"""After so many requests that failed in every attempt a host gets one attempt a request."""


@dataclass(slots=True)
class _Host:
    """What a host did since it last gave something: the seconds it took, its failed requests."""

    spent: float = 0.0
    busy_until: float = float("-inf")
    failures: int = 0
    answered: bool = False
    given_up: str | None = None


class Hosts:
    """Which hosts of a run answer; one for all its clients. Threads may share it.

    Times are monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()
        self.now = now

    def fault(self, host: str) -> str | None:
        """Why the host is not asked any more; None while it is."""
        with self._lock:
            given_up = self._of(host).given_up
            return None if given_up is None else f"{self._outlook(host)} {given_up}"

    def attempts(self, host: str, usual: int) -> int:
        """How often a request to the host may be sent, `usual` unless those before it failed."""
        with self._lock:
            return 1 if self._of(host).failures >= _IN_A_ROW else usual

    def seconds_left(self, host: str, deadline: float) -> float:
        """What is left of the `deadline` that the host has to give something."""
        with self._lock:
            return max(0.0, deadline - self._of(host).spent)

    def answered(self, host: str) -> None:
        """Note that the host gave something: it is asked as usual from now on."""
        with self._lock:
            self._hosts[host] = _Host(answered=True)

    def spent(self, host: str, began: float) -> None:
        """Note that the time since `began` went by without an answer; threads count once."""
        with self._lock:
            found, now = self._of(host), self.now()
            found.spent += max(0.0, now - max(began, found.busy_until))
            found.busy_until = max(now, found.busy_until)

    def charge(self, host: str, seconds: float) -> None:
        """Count seconds that requests to others spent in vain for the sake of this host."""
        with self._lock:
            self._of(host).spent += seconds

    def failed(self, host: str, words: str, *, silent: bool, deadline: float) -> None:
        """Note a request that failed in every attempt.

        A host that was `silent`, without any answer, is given up; so is one that spent its
        `deadline` on failures.
        """
        with self._lock:
            found = self._of(host)
            found.failures += 1
            found.answered = found.answered or not silent
            if silent or found.spent >= deadline:
                found.given_up = words

    @property
    def words_without_network(self) -> str | None:
        """That not one host of the run gave any answer, if so; the first given up is quoted."""
        with self._lock:
            if not (silent := self._all_silent()):
                return None
            given_up = self._hosts[silent[0]].given_up
        return (
            f"none of the hosts asked has answered ({', '.join(silent)}): there may be no network, "
            f"or a firewall between. {given_up}"
        )

    def _of(self, host: str) -> _Host:
        return self._hosts.setdefault(host, _Host())

    def _all_silent(self) -> tuple[str, ...]:
        if any(host.answered for host in self._hosts.values()):
            return ()
        return tuple(sorted(name for name, host in self._hosts.items() if host.given_up))

    def _outlook(self, host: str) -> str:
        if self._all_silent():
            return f"{host} was not asked again; no host has answered, there may be no network."
        return f"{host} was not asked again in this run, as it gave nothing before."
