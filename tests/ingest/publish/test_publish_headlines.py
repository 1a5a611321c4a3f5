"""Publishing headlines: idempotence, revisions, stories."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from warehouse.lake import Lake
from warehouse.storage.landing import Payload
from warehouse.tables.batches import (
    HEADLINE_TICKERS,
    HEADLINES,
    PARTITIONS,
    REJECTS,
    HeadlineBatch,
    PublishError,
)
from warehouse.tables.headlines import HeadlinePublication, publish_headlines

NOW = datetime(2020, 3, 4, 12, tzinfo=UTC)
NOTHING = HeadlinePublication(0, 0, 0, 0, 0)


def headline(headline_id: str, title: str, at: datetime = NOW, **other: Any) -> dict[str, Any]:
    row = {
        "headline_id": headline_id,
        "source": "wire",
        "title": title,
        "summary": None,
        "url": f"http://wire.example/{headline_id}",
        "guid": None,
        "published_at": at,
        "first_seen_at": at,
        "available_at": at,
        "availability": "observed",
        "synthetic": False,
        "payload_id": "p1",
    }
    return row | other


def publish(lake: Lake, *rows: dict[str, Any], now: datetime = NOW) -> HeadlinePublication:
    pairs = [
        {"headline_id": row["headline_id"], "ticker": "AAPL", "method": "feed"} for row in rows
    ]
    reject = {
        "kind": "headline",
        "source": "wire",
        "key": "AAPL",
        "reason": "undated",
        "record": "{}",
        "payload_id": "p1",
    }
    outcome = {
        "source": "wire",
        "key": "AAPL",
        "range_start": date(2020, 3, 4),
        "range_end": date(2020, 3, 4),
        "state": "done",
        "rows": len(rows),
        "payload_id": "p1",
        "error": None,
    }
    batch = HeadlineBatch(
        headlines=pa.Table.from_pylist(list(rows), schema=HEADLINES),
        headline_tickers=pa.Table.from_pylist(pairs, schema=HEADLINE_TICKERS),
        rejects=pa.Table.from_pylist([reject], schema=REJECTS),
        payloads=(Payload("wire", "http://wire.example/rss", 200, (), b"x", NOW),),
        partitions=pa.Table.from_pylist([outcome], schema=PARTITIONS),
    )
    return publish_headlines(lake, batch, now=now)


def stored(lake: Lake, headline_id: str) -> dict[str, Any]:
    query = "SELECT * FROM headlines WHERE headline_id = $id"
    (row,) = lake.sql(query, {"id": headline_id}).to_pylist()
    return dict(row)


def test_rerun_is_idempotent_and_commits_no_snapshot(lake: Lake) -> None:
    assert publish(lake, headline("a", "Apple rises")) == HeadlinePublication(1, 0, 1, 0, 1)
    before = lake.snapshot_id()
    again = headline("a", "Apple rises", first_seen_at=NOW + timedelta(hours=1), payload_id="p2")
    assert publish(lake, again, now=NOW + timedelta(hours=1)) == NOTHING
    assert lake.snapshot_id() == before
    assert stored(lake, "a")["first_seen_at"] == NOW, "the first observation is kept"


def test_lookahead_an_edit_is_available_from_when_it_was_seen(lake: Lake) -> None:
    publish(lake, headline("a", "Apple rises", guid="g"))
    later = NOW + timedelta(hours=5)
    edit = headline("b", "Apple falls", guid="g", first_seen_at=later, available_at=later)
    assert publish(lake, edit, now=later).revised == 1
    row = stored(lake, "a")
    assert (row["title"], row["revision"]) == ("Apple falls", 2)
    assert row["available_at"] == row["edited_at"] == later
    assert row["published_at"] == row["first_seen_at"] == NOW
    (earlier,) = lake.sql("SELECT * FROM headline_revisions").to_pylist()
    assert (earlier["title"], earlier["revision"]) == ("Apple rises", 1)
    assert (earlier["available_at"], earlier["superseded_at"]) == (NOW, later)


def test_stale_copy_of_an_edited_headline_is_no_second_edit(lake: Lake) -> None:
    publish(lake, headline("a", "Apple rises", guid="g"))
    publish(lake, headline("b", "Apple falls", guid="g"))
    before = lake.snapshot_id()
    assert publish(lake, headline("a", "Apple rises", guid="g")) == NOTHING
    assert lake.snapshot_id() == before


def test_guid_shared_by_two_incoming_headlines_is_no_identity(lake: Lake) -> None:
    publish(lake, headline("a", "Apple rises", guid="g"))
    publish(
        lake, headline("b", "Boeing delays jet", guid="g"), headline("c", "Citi hires", guid="g")
    )
    assert lake.sql("SELECT count(*) AS n FROM headlines").column("n").to_pylist() == [3]


def test_same_words_within_three_days_are_one_story(lake: Lake) -> None:
    publish(
        lake,
        headline("late", "UPDATE 1-Apple to buy Beats, sources", NOW + timedelta(days=1)),
        headline("far", "Apple to buy Beats - sources", NOW + timedelta(days=9)),
    )
    assert stored(lake, "late")["story_id"] == "late"
    publish(lake, headline("early", "APPLE to buy Beats; sources"))
    assert stored(lake, "late")["story_id"] == "early"
    assert stored(lake, "early")["story_id"] == "early"
    assert stored(lake, "far")["story_id"] == "far"


def test_batch_with_a_repeated_headline_is_refused_whole(lake: Lake) -> None:
    before = lake.snapshot_id()
    with pytest.raises(PublishError, match="2 rows but 1 distinct"):
        publish(lake, headline("a", "Apple"), headline("a", "Apple"))
    assert lake.snapshot_id() == before
