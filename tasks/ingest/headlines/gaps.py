"""Gaps of feeds: items that a poll may have missed, and feeds that fell silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa

from tasks.ingest.headlines.feeds import FeedSpec
from warehouse.lake import Lake
from warehouse.tables.batches import PARTITIONS, HeadlineBatch

HUSHED = timedelta(days=7)
"""For so long a day about which a search has nothing of anybody is asked for again."""


def with_gaps(lake: Lake, feed: FeedSpec, batch: HeadlineBatch) -> HeadlineBatch:
    """The batch of a feed, its ledger rows partial where items may have been missed.

    An answer without one usable item is partial, and asked for again, when the feed gave some
    before: its form or address has changed, or it is out of order. A poll's answer with as many
    items as the feed's cap, none of them known although the feed was read before, does not reach
    back to what was read then; that cannot be asked for again. A search that has nothing about
    anybody stays empty, and is asked again for some days: it may be out of order.
    """
    return _with_missed(lake, feed, _with_hush(lake, feed, _with_silence(lake, feed, batch)))


def _with_silence(lake: Lake, feed: FeedSpec, batch: HeadlineBatch) -> HeadlineBatch:
    found = lake.read(
        "feeds_silent",
        {"source": feed.name, "publisher": feed.source, "polled": feed.mode == "poll"},
        incoming_partitions=batch.partitions,
    ).to_pylist()
    silent = {(row["key"], row["range_start"], row["range_end"]): row for row in found}
    if not silent:
        return batch
    reasons: dict[str, Counter[str]] = {}
    for row in batch.rejects.to_pylist():
        reasons.setdefault(row["key"], Counter())[row["reason"]] += 1

    def judged(row: dict[str, Any]) -> dict[str, Any]:
        before = silent.get((row["key"], row["range_start"], row["range_end"]))
        if before is None:
            return row
        words = _silence(before, reasons.get(row["key"], Counter()))
        return row | {"state": "partial", "again": True, "error": words}

    return _with_partitions(batch, [judged(row) for row in batch.partitions.to_pylist()])


def _silence(before: Mapping[str, Any], reasons: Counter[str]) -> str:
    """What a feed gives that gave items before."""
    given = "no item at all"
    if before["received"]:
        [(reason, _)] = reasons.most_common(1) or [("no reason is on record", 0)]
        given = f"{before['received']} items of which none can be used ({reason})"
    return (
        f"{given}, though it gave some until {before['gave_at']:%Y-%m-%d %H:%M} UTC: see whether "
        "its address or the form of its items has changed"
    )


def _with_hush(lake: Lake, feed: FeedSpec, batch: HeadlineBatch) -> HeadlineBatch:
    rows = batch.partitions.to_pylist()
    if feed.mode != "search" or feed.edgar is not None or not batch.payloads:
        return batch
    if {row["state"] for row in rows} != {"empty"}:
        return batch
    if not lake.read("feed_gave", {"source": feed.name})["gave"][0].as_py():
        return batch
    since = max(payload.fetched_at for payload in batch.payloads).date() - HUSHED
    again = [row | {"again": row["range_end"] >= since} for row in rows]
    return _with_partitions(batch, again)


def _with_missed(lake: Lake, feed: FeedSpec, batch: HeadlineBatch) -> HeadlineBatch:
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
    return _with_partitions(batch, rows)


def _with_partitions(batch: HeadlineBatch, rows: list[dict[str, Any]]) -> HeadlineBatch:
    return replace(batch, partitions=pa.Table.from_pylist(rows, schema=PARTITIONS))
