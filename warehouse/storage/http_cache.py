"""HTTP cache: published answers, so that a server may reply "not modified" and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

from warehouse.lake import Lake
from warehouse.storage.landing import Landing, LandingError, Payload

CachedPayload = Callable[[str], Payload | None]
"""Answers the payload cached for an address, or None when it must be fetched afresh."""


def landed_answers(lake: Lake, landing: Landing, source: str) -> Iterator[Payload]:
    """Every answer of `source` that was published, in the order of fetching, with its body.

    Raises LandingError when a body is missing or altered.
    """
    for row in lake.read("feed_answers", {"source": source}).to_pylist():
        yield _payload(row, landing.load(row["payload_id"]))


def cached_answers(lake: Lake, landing: Landing, source: str) -> CachedPayload:
    """The latest published answer of each address of `source`, if it came with a validator.

    Bodies are read from the landing zone when needed; one that is missing or altered counts as
    not cached.
    """
    found = lake.read("feed_answers_cached", {"source": source}).to_pylist()
    by_url = {row["url"]: row for row in found}

    def cached(url: str) -> Payload | None:
        row = by_url.get(url)
        if row is None:
            return None
        try:
            body = landing.load(row["payload_id"])
        except LandingError:
            return None
        return _payload(row, body)

    return cached


def _payload(row: dict[str, Any], body: bytes) -> Payload:
    headers = tuple((name, value) for name, value in json.loads(row["headers"]))
    return Payload(
        row["source"], row["url"], row["status"], headers, body, row["fetched_at"].astimezone(UTC)
    )
