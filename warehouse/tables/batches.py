"""What a source hands on: typed tables of good rows, rejects with reasons, and the payloads.

Every batch already passed its source's row rules; nothing in it has touched the warehouse except
the landing zone. Times are UTC; dates are the exchange's local dates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from warehouse.storage.landing import Payload

Clock = Callable[[], datetime]
"""Answers the present instant, UTC and aware."""

Land = Callable[[Payload], str]
"""Stores a payload durably and returns its payload_id. Called before the payload is parsed."""

_UTC = pa.timestamp("us", tz="UTC")

BARS = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("session", pa.date32(), nullable=False),
        pa.field("open", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("close", pa.float64(), nullable=False),
        pa.field("volume", pa.int64(), nullable=False),
        pa.field("vendor_adj_close", pa.float64()),
        pa.field("basis_date", pa.date32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("payload_id", pa.string(), nullable=False),
    ]
)
"""One row per ticker and session: `bars` less vintage and recorded_at, which publishing assigns."""

ACTIONS = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("ex_date", pa.date32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("basis_date", pa.date32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("payload_id", pa.string(), nullable=False),
    ]
)
"""One row per ticker, ex-date and kind (split | dividend): `actions` less vintage, recorded_at."""

HEADLINES = pa.schema(
    [
        pa.field("headline_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("summary", pa.string()),
        pa.field("url", pa.string()),
        pa.field("guid", pa.string()),
        pa.field("published_at", _UTC, nullable=False),
        pa.field("first_seen_at", _UTC, nullable=False),
        pa.field("available_at", _UTC, nullable=False),
        pa.field("availability", pa.string(), nullable=False),
        pa.field("synthetic", pa.bool_(), nullable=False),
        pa.field("payload_id", pa.string(), nullable=False),
    ]
)
"""One row per headline: `headlines` less story_id, edited_at and revision (see publishing)."""

HEADLINE_TICKERS = pa.schema(
    [
        pa.field("headline_id", pa.string(), nullable=False),
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
    ]
)
"""One row per headline and ticker it is about."""

REJECTS = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("record", pa.string(), nullable=False),
        pa.field("payload_id", pa.string()),
    ]
)
"""One row per rejected record and reason: `quarantine` less its id and quarantined_at."""

PARTITIONS = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("range_start", pa.date32(), nullable=False),
        pa.field("range_end", pa.date32(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("payload_id", pa.string()),
        pa.field("error", pa.string()),
    ]
)
"""One row per source, key and inclusive requested range: `partitions` less attempts, updated_at."""


@dataclass(frozen=True, slots=True)
class PriceBatch:
    """Daily bars and corporate actions of one request set.

    `missing` pairs each requested ticker that could not be served with the error that says why;
    such a ticker has a failed row in `partitions` and no bars.
    """

    bars: pa.Table
    actions: pa.Table
    rejects: pa.Table
    payloads: tuple[Payload, ...]
    requested: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]
    partitions: pa.Table


@dataclass(frozen=True, slots=True)
class HeadlineBatch:
    """Headlines of one feed over one request set, with the tickers each is about."""

    headlines: pa.Table
    headline_tickers: pa.Table
    rejects: pa.Table
    payloads: tuple[Payload, ...]
    partitions: pa.Table
