"""Answers in the HTTP cache: requested conditionally, read again, and checked for their age."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.faults import Fault, FaultKind
from tasks.ingest.headlines.fetch import replay_headlines
from tasks.ingest.http.retry import RetryPolicy
from warehouse.lake import Lake
from warehouse.storage.landing import Payload, cached_answers, landed_answers
from warehouse.tables.headlines import HeadlinePublication


def test_unchanged_feed_is_asked_conditionally_and_loses_nothing(wire: Any, lake: Lake) -> None:
    wire.publish(lake, wire.fetch())
    before = lake.snapshot_id()
    cached = cached_answers(lake, wire.landing, wire.feed.name)
    again = wire.ask(cached=cached, now=wire.now + timedelta(minutes=1))
    assert wire.vendor is not None
    assert [served.status for served in wire.vendor.requests] == [200, 200, 304, 304]
    assert wire.counts(again) == {"AAPL": 20, "MSFT": 20}
    wire.publish(lake, again, wire.now + timedelta(minutes=1))
    assert lake.snapshot_id() == before


@pytest.mark.parametrize("kind", ["entity_bomb", "truncated", "html_page", "wrong_encoding"])
def test_answer_that_could_not_be_used_is_not_taken_for_the_unchanged_one(
    wire: Any, lake: Lake, kind: FaultKind
) -> None:
    """Its validator is the whole document's: the vendor would say "not modified" for ever."""
    wire.publish(lake, wire.fetch(Fault(kind=kind, times=1)))
    cached = cached_answers(lake, wire.landing, wire.feed.name)
    again = wire.ask(cached=cached, now=wire.now + timedelta(minutes=1))
    assert wire.counts(again) == {"AAPL": 20, "MSFT": 20}
    wire.publish(lake, again, wire.now + timedelta(minutes=1))
    titles = lake.sql("SELECT count(*) AS n FROM headline_tickers WHERE ticker = 'AAPL'")
    assert titles["n"].to_pylist() == [20]


def test_replay_of_landed_answers_rebuilds_the_same_tables(
    wire: Any, lake: Lake, tmp_path: Path
) -> None:
    batch = wire.fetch(Fault(kind="edited_title", first=2), Fault(kind="missing_date", first=2))
    wire.publish(lake, batch)
    later = wire.now + timedelta(minutes=10)
    wire.publish(lake, wire.ask(now=later), later)
    before, tables = lake.snapshot_id(), stored(lake)

    def answers() -> Iterator[Payload]:
        return landed_answers(lake, wire.landing, wire.feed.name)

    for again in replay_headlines(wire.feed, answers()):
        assert wire.publish(lake, again, later) == HeadlinePublication(0, 0, 0, 0, 0)
    assert lake.snapshot_id() == before, "the same parser finds nothing new"
    spec = lake.spec.model_copy(
        update={
            "catalog": f"sqlite:{tmp_path / 'other.sqlite'}",
            "storage": str(tmp_path / "o"),
            "landing": str(tmp_path / "l"),
        }
    )
    with Lake.open(spec) as fresh:
        for again in replay_headlines(
            wire.feed, landed_answers(lake, wire.landing, wire.feed.name)
        ):
            wire.publish(fresh, again, again.payloads[-1].fetched_at)
        assert stored(fresh) == tables, "landed answers are enough to rebuild everything"


def stored(lake: Lake) -> list[Any]:
    return [
        lake.sql(f"SELECT * FROM {table} ORDER BY ALL").to_pylist()
        for table in ("headlines", "headline_tickers", "headline_revisions")
    ] + lake.sql("SELECT kind, key, reason, record FROM quarantine ORDER BY ALL").to_pylist()


def test_sources_check_tells_freshness_and_the_last_error(wire: Any, lake: Lake) -> None:
    wire.publish(lake, wire.fetch(Fault(kind="server_error"), retry=RetryPolicy(attempts=1)))
    params = {"now": wire.now + timedelta(hours=3), "stale_after": timedelta(hours=2)}
    found = {row["key"]: row for row in lake.read("sources_check", params).to_pylist()}
    assert "HTTP 500" in found["AAPL"]["last_error"]
    assert found["AAPL"]["stale"], "never requested with success"
    assert found["AAPL"]["newest_item"] is None
    assert found["MSFT"]["stale"], "the success is three hours old"
    assert found["MSFT"]["last_success_at"] == wire.now
    assert found["MSFT"]["last_error"] is None
    wire.publish(lake, wire.fetch(), wire.now + timedelta(hours=2))
    found = {row["key"]: row for row in lake.read("sources_check", params).to_pylist()}
    assert not found["AAPL"]["stale"]
    assert found["AAPL"]["last_error"] is None, "a later success made it good"
    assert found["AAPL"]["newest_item"] is not None
    assert found["AAPL"]["granularity"] == "second 100 %"
