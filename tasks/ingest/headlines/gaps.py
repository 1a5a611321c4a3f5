"""Gaps between polls: a feed that shows its latest items only may have shown others meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from tasks.ingest.headlines.feeds import FeedSpec
from warehouse.lake import Lake
from warehouse.tables.batches import PARTITIONS, HeadlineBatch


def with_gaps(lake: Lake, feed: FeedSpec, batch: HeadlineBatch) -> HeadlineBatch:
    """The batch of a poll, its ledger rows partial where items may have been missed.

    An answer with as many items as the feed's cap, none of them known although the feed was read
    before, does not reach back to what was read then. It cannot be asked for again.
    """
    if feed.mode != "poll" or feed.cap is None:
        return batch
    found = lake.read(
        "polls_without_overlap",
        {"cap": feed.cap},
        incoming_partitions=batch.partitions,
        incoming_headlines=batch.headlines.select(["headline_id", "published_at"]),
        incoming_tickers=batch.headline_tickers,
    )
    since = {row["key"]: row["polled_at"] for row in found.to_pylist()}
    rows = [
        row
        if row["key"] not in since
        else row
        | {
            "state": "partial",
            "again": False,
            "error": f"none of the {row['received']} items was known: what came between the poll "
            f"of {since[row['key']]:%Y-%m-%d %H:%M} UTC and this one was not seen, poll more often",
        }
        for row in batch.partitions.to_pylist()
    ]
    return replace(batch, partitions=pa.Table.from_pylist(rows, schema=PARTITIONS))
