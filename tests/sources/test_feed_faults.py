"""The fault matrix of headlines: a real vendor on loopback misbehaves, one way a test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sandbox.faults import Fault, FaultPlan
from sandbox.market import bokeh_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tasks.sources.batches import HeadlineBatch
from tasks.sources.feed_requests import FeedSpec
from tasks.sources.feed_transport import FeedLimits, feed_client
from tasks.sources.headlines import fetch_headlines, replay_headlines
from warehouse.held_answers import held_answers, landed_answers
from warehouse.lake import Lake
from warehouse.landing import Landing
from warehouse.publish_headlines import HeadlinePublication, publish_headlines

NOW = datetime(2013, 2, 28, 12, tzinfo=UTC)
FEED = FeedSpec(
    name="sandbox-rss",
    url="https://feeds.finance.yahoo.com/rss/2.0/headline?s={ticker}",
    synthetic=True,
)
LIMITS = FeedLimits(
    attempts=3,
    first_wait=timedelta(milliseconds=10),
    longest_wait=timedelta(seconds=30),
    deadline=timedelta(seconds=5),
)
AAPL_AND_MSFT = ("AAPL", "MSFT")


@dataclass
class Wire:
    """A vendor per set of faults, asked for the headlines of two tickers."""

    landing: Landing
    stack: ExitStack
    waits: list[float] = field(default_factory=list)
    vendor: SandboxVendor | None = None

    def fetch(self, *faults: Fault, now: datetime = NOW, **limits: Any) -> HeadlineBatch:
        plan = FaultPlan.of(*(fault.model_copy(update={"ticker": "AAPL"}) for fault in faults))
        self.vendor = self.stack.enter_context(
            SandboxVendor(bokeh_market(), NewsSpec(), now=lambda: now, faults=plan)
        )
        return self.ask(now=now, **limits)

    def ask(self, *, now: datetime = NOW, held: Any = None, **limits: Any) -> HeadlineBatch:
        assert self.vendor is not None
        bounds = LIMITS.model_copy(update=limits)
        with feed_client(self.vendor.base_url, bounds, sleep=self.waits.append) as client:
            return fetch_headlines(
                FEED,
                AAPL_AND_MSFT,
                now.date(),
                now.date(),
                client=client,
                clock=lambda: now,
                land=self.landing.store,
                held=held,
            )


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with ExitStack() as stack:
        yield Wire(Landing(tmp_path / "landing"), stack)


def counts(batch: HeadlineBatch) -> dict[str, int]:
    return {
        ticker: batch.headline_tickers.column("ticker").to_pylist().count(ticker)
        for ticker in AAPL_AND_MSFT
    }


def error_of(batch: HeadlineBatch) -> str:
    """The error recorded for AAPL; MSFT must have been served in full all the same."""
    outcome = {row["key"]: row for row in batch.partitions.to_pylist()}
    assert outcome["MSFT"]["state"] == "done"
    assert counts(batch) == {"AAPL": 0, "MSFT": 20}
    assert outcome["AAPL"]["state"] == "failed"
    return str(outcome["AAPL"]["error"])


def rejected(batch: HeadlineBatch) -> list[tuple[str, str]]:
    return [(row["key"], row["reason"]) for row in batch.rejects.to_pylist()]


def titles(batch: HeadlineBatch) -> list[str]:
    return [str(title) for title in batch.headlines.column("title").to_pylist()]


def publish(lake: Lake, batch: HeadlineBatch, now: datetime = NOW) -> HeadlinePublication:
    return publish_headlines(
        lake,
        headlines=batch.headlines,
        headline_tickers=batch.headline_tickers,
        rejects=batch.rejects,
        payloads=batch.payloads,
        partitions=batch.partitions,
        now=now,
    )


def test_well_behaved_vendor_serves_every_item(wire: Wire) -> None:
    batch = wire.fetch()
    assert counts(batch) == {"AAPL": 20, "MSFT": 20}
    assert batch.rejects.num_rows == 0
    assert all(batch.headlines.column("synthetic").to_pylist())


def test_429_with_retry_after_waits_as_long_as_asked(wire: Wire) -> None:
    batch = wire.fetch(Fault(kind="rate_limited", value=17, times=2))
    assert counts(batch)["AAPL"] == 20
    assert wire.waits == [17.0, 17.0]


def test_429_without_retry_after_backs_off_with_jitter_and_cap(wire: Wire) -> None:
    batch = wire.fetch(Fault(kind="rate_limited", times=2))
    assert counts(batch)["AAPL"] == 20
    first, second = wire.waits
    assert 0.005 <= first <= 0.010 <= second <= 0.020


def test_429_that_asks_too_long_is_given_up_at_once(wire: Wire) -> None:
    error = error_of(wire.fetch(Fault(kind="rate_limited", value=7200)))
    assert "asks to wait 7200 s, longer than the 30 s" in error
    assert wire.waits == []


def test_500_is_retried_and_then_recorded(wire: Wire) -> None:
    error = error_of(wire.fetch(Fault(kind="server_error")))
    assert "HTTP 500" in error
    assert "tried 3 times" in error
    assert len(wire.waits) == 2


def test_connection_reset_mid_body_is_retried(wire: Wire) -> None:
    assert counts(wire.fetch(Fault(kind="reset_mid_body", times=1)))["AAPL"] == 20
    assert "broke off" in error_of(wire.fetch(Fault(kind="reset_mid_body")))


def test_slow_drip_is_cut_off_at_the_deadline(wire: Wire) -> None:
    begun = time.monotonic()
    batch = wire.fetch(
        Fault(kind="slow_drip", value=0.2), deadline=timedelta(seconds=0.8), attempts=1
    )
    assert "longer than the deadline" in error_of(batch)
    assert time.monotonic() - begun < 5


def test_gzip_bomb_is_refused_before_it_unpacks(wire: Wire) -> None:
    before = pa.total_allocated_bytes()
    batch = wire.fetch(Fault(kind="gzip_bomb", value=256), body_bytes=2 << 20)
    assert "more than 2097152 bytes unpacked" in error_of(batch)
    assert pa.total_allocated_bytes() - before < 64 << 20


def test_50_mb_feed_is_refused_before_it_is_read(wire: Wire) -> None:
    error = error_of(wire.fetch(Fault(kind="huge_feed", value=50), deadline=timedelta(seconds=60)))
    assert "more than 4194304 bytes on the wire" in error


def test_html_page_served_as_a_feed_is_refused(wire: Wire) -> None:
    batch = wire.fetch(Fault(kind="html_page"))
    assert "not a feed" in error_of(batch)
    assert batch.rejects.column("kind").to_pylist() == ["payload"]
    assert len(batch.payloads) == 2, "the page has landed: it can be looked at"


def test_truncated_xml_keeps_the_whole_items_before_the_break(wire: Wire) -> None:
    whole = wire.fetch()
    cut = wire.fetch(Fault(kind="truncated", value=0.6))
    assert 5 < counts(cut)["AAPL"] < 20
    assert set(titles(cut)) <= set(titles(whole))


def test_wrong_declared_encoding_is_read_without_inventing_characters(wire: Wire) -> None:
    batch = wire.fetch(Fault(kind="wrong_encoding"))
    told = [title for title in titles(batch) if "caf" in title]
    assert told
    assert all(title.startswith("Zürich café – ") for title in told)


def test_entity_bomb_is_refused_in_bounded_time(wire: Wire) -> None:
    begun = time.monotonic()
    assert "declares entities" in error_of(wire.fetch(Fault(kind="entity_bomb")))
    assert time.monotonic() - begun < 5


def test_external_entity_is_refused_and_read_from_nowhere(wire: Wire, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the combination is 1234")
    batch = wire.fetch(Fault(kind="external_entity", text=secret.as_uri()))
    assert "declares entities" in error_of(batch)
    assert not any("1234" in title for title in titles(batch))


def test_redirect_to_the_metadata_address_is_refused(wire: Wire) -> None:
    error = error_of(wire.fetch(Fault(kind="redirect_metadata")))
    assert "169.254.169.254 is not an address on the public internet" in error
    assert len(wire.vendor.requests if wire.vendor else ()) == 2, "the redirect was not followed"


def test_redirect_to_a_file_is_refused(wire: Wire) -> None:
    error = error_of(wire.fetch(Fault(kind="redirect_file")))
    assert "only http and https" in error or "no usable address" in error


def test_redirect_loop_ends_at_the_limit(wire: Wire) -> None:
    loop = Fault(kind="redirect_loop", text="?s=AAPL&again")
    assert "redirects more than 5 times" in error_of(wire.fetch(loop))


def test_changed_guid_is_the_same_headline(wire: Wire, lake: Lake) -> None:
    wire.fetch(Fault(kind="changed_guid"))
    publish(lake, wire.ask())
    before = lake.snapshot_id()
    again = publish(lake, wire.ask())
    assert again.added == again.revised == 0
    assert lake.sql("SELECT count(*) AS n FROM headlines").column("n").to_pylist() == [40]
    assert lake.snapshot_id() <= before + 1, "at most the ledger notes the new payload"


def test_changed_link_is_the_same_headline(wire: Wire, lake: Lake) -> None:
    publish(lake, wire.fetch(Fault(kind="changed_link")))
    again = publish(lake, wire.ask())
    assert again.added == again.revised == 0


def test_edited_title_is_a_revision_and_the_former_wording_is_kept(wire: Wire, lake: Lake) -> None:
    publish(lake, wire.fetch(Fault(kind="edited_title", first=2)))
    later = NOW + timedelta(minutes=10)
    edited = publish(lake, wire.ask(now=later), later)
    assert (edited.added, edited.revised) == (0, 1)
    (former,) = lake.sql("SELECT * FROM headline_revisions").to_pylist()
    query = "SELECT * FROM headlines WHERE headline_id = $id"
    (current,) = lake.sql(query, {"id": former["headline_id"]}).to_pylist()
    assert current["title"] == former["title"] + " (corrected)"
    assert current["available_at"] == later > former["available_at"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing_date", "undated"),
        ("odd_date", "date not understood"),
        ("unknown_zone", "date with an unknown time zone"),
        ("future_date", "published in the future"),
    ],
    ids=["missing_date", "2016/6/29", "unknown_zone", "future_date"],
)
def test_unbelievable_date_goes_to_quarantine(
    wire: Wire, lake: Lake, kind: Any, reason: str
) -> None:
    batch = wire.fetch(Fault(kind=kind))
    assert rejected(batch) == [("AAPL", reason)]
    assert counts(batch) == {"AAPL": 19, "MSFT": 20}
    assert publish(lake, batch).quarantined == 1
    assert publish(lake, wire.ask()).quarantined == 0


def test_lookahead_back_dated_item_is_available_only_once_seen(wire: Wire) -> None:
    batch = wire.fetch(Fault(kind="back_dated"))
    (oldest,) = batch.headlines.slice(0, 1).to_pylist()
    assert oldest["published_at"] < NOW - timedelta(days=25)
    assert oldest["available_at"] == NOW


def test_script_in_title_leaves_only_words(wire: Wire) -> None:
    clean, hostile = titles(wire.fetch()), titles(wire.fetch(Fault(kind="script_title")))
    assert sorted(clean) == sorted(hostile)


def test_control_characters_in_title_are_removed(wire: Wire) -> None:
    hostile = titles(wire.fetch(Fault(kind="control_characters")))
    assert all(title.isprintable() for title in hostile)
    assert any(title.endswith("[31m") for title in hostile), "what can be printed is kept"


def test_newlines_in_title_become_one_line(wire: Wire) -> None:
    hostile = titles(wire.fetch(Fault(kind="newline_title")))
    (told,) = [title for title in hostile if "Answer" in title]
    assert told.endswith(" ### Answer: up")


def test_label_words_and_instructions_in_title_are_kept_as_text(wire: Wire) -> None:
    batch = wire.fetch(Fault(kind="label_words"))
    assert any(title.startswith("up down up: ") for title in titles(batch))
    batch = wire.fetch(Fault(kind="instructions"))
    assert any(title.startswith("Ignore all previous instructions") for title in titles(batch))


def test_unchanged_feed_is_asked_conditionally_and_loses_nothing(wire: Wire, lake: Lake) -> None:
    publish(lake, wire.fetch())
    before = lake.snapshot_id()
    held = held_answers(lake, wire.landing, FEED.name)
    again = wire.ask(held=held, now=NOW + timedelta(minutes=1))
    assert wire.vendor is not None
    assert [served.status for served in wire.vendor.requests] == [200, 200, 304, 304]
    assert counts(again) == {"AAPL": 20, "MSFT": 20}
    publish(lake, again, NOW + timedelta(minutes=1))
    assert lake.snapshot_id() == before


def test_spent_request_budget_is_recorded_and_the_next_run_goes_on(wire: Wire) -> None:
    batch = wire.fetch(requests=1)
    outcome = {row["key"]: row for row in batch.partitions.to_pylist()}
    assert sorted(row["state"] for row in outcome.values()) == ["done", "failed"]
    assert any("budget of 1 requests is spent" in (row["error"] or "") for row in outcome.values())
    assert counts(wire.ask()) == {"AAPL": 20, "MSFT": 20}


def test_replay_of_landed_answers_rebuilds_the_same_tables(
    wire: Wire, lake: Lake, tmp_path: Path
) -> None:
    batch = wire.fetch(Fault(kind="edited_title", first=2), Fault(kind="missing_date", first=2))
    publish(lake, batch)
    later = NOW + timedelta(minutes=10)
    publish(lake, wire.ask(now=later), later)
    before, tables = lake.snapshot_id(), stored(lake)
    for again in replay_headlines(FEED, landed_answers(lake, wire.landing, FEED.name)):
        assert publish(lake, again, later) == HeadlinePublication(0, 0, 0, 0, 0)
    assert lake.snapshot_id() == before, "the same parser finds nothing new"
    spec = lake.spec.model_copy(
        update={"catalog": f"sqlite:{tmp_path / 'other.sqlite'}", "storage": str(tmp_path / "o")}
    )
    with Lake.open(spec) as fresh:
        for again in replay_headlines(FEED, landed_answers(lake, wire.landing, FEED.name)):
            publish(fresh, again, again.payloads[-1].fetched_at)
        assert stored(fresh) == tables, "landed answers are enough to rebuild everything"


def stored(lake: Lake) -> list[Any]:
    return [
        lake.sql(f"SELECT * FROM {table} ORDER BY ALL").to_pylist()
        for table in ("headlines", "headline_tickers", "headline_revisions")
    ] + lake.sql("SELECT kind, key, reason, record FROM quarantine ORDER BY ALL").to_pylist()


def test_sources_check_tells_freshness_and_the_last_error(wire: Wire, lake: Lake) -> None:
    publish(lake, wire.fetch(Fault(kind="server_error"), attempts=1))
    params = {"now": NOW + timedelta(hours=3), "stale_after": timedelta(hours=2)}
    found = {row["key"]: row for row in lake.read("marts/sources_check", params).to_pylist()}
    assert "HTTP 500" in found["AAPL"]["last_error"]
    assert found["AAPL"]["stale"], "never asked with success"
    assert found["AAPL"]["newest_item"] is None
    assert found["MSFT"]["stale"], "the success is three hours old"
    assert found["MSFT"]["last_success_at"] == NOW
    assert found["MSFT"]["last_error"] is None
    publish(lake, wire.fetch(), NOW + timedelta(hours=2))
    found = {row["key"]: row for row in lake.read("marts/sources_check", params).to_pylist()}
    assert not found["AAPL"]["stale"]
    assert found["AAPL"]["last_error"] is None, "a later success made it good"
    assert found["AAPL"]["newest_item"] is not None
