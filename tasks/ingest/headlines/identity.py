"""Headline identity: which observations are one headline, and when it was available."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from warehouse.lake.scratch import Scratch
from warehouse.tables.batches import HEADLINE_TICKERS, HEADLINES

_UTC = pa.timestamp("us", tz="UTC")

OBSERVATIONS = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("summary", pa.string()),
        pa.field("url", pa.string()),
        pa.field("guid", pa.string()),
        pa.field("published_at", _UTC, nullable=False),
        pa.field("first_seen_at", _UTC, nullable=False),
        pa.field("availability", pa.string(), nullable=False),
        pa.field("lag_us", pa.int64(), nullable=False),
        pa.field("synthetic", pa.bool_(), nullable=False),
        pa.field("payload_id", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("ticker", pa.string()),
        pa.field("method", pa.string()),
    ]
)
"""One row per item of a payload and ticker it was observed under (null: none known).

`lag_us` counts microseconds and applies to asserted rows. `position` orders the observations of
a batch; the first one of a headline is the one kept.
"""


@dataclass(frozen=True, slots=True)
class IdentifiedHeadlines:
    """Headlines (`batches.HEADLINES`) and their tickers (`batches.HEADLINE_TICKERS`)."""

    headlines: pa.Table
    headline_tickers: pa.Table


def identify_headlines(observations: pa.Table, engine: Scratch) -> IdentifiedHeadlines:
    """Give each observation its headline_id and available_at, and merge those of one headline.

    `observations` has the columns of OBSERVATIONS; `engine` is any place that runs SQL, such as
    `warehouse.lake.scratch`. The answer does not depend on the order of the rows.
    """
    identified = engine.read("observations_identified", observations=observations)
    headlines = engine.read("headlines_identified", identified=identified)
    pairs = engine.read("headline_tickers_identified", identified=identified)
    return IdentifiedHeadlines(headlines.cast(HEADLINES), pairs.cast(HEADLINE_TICKERS))
