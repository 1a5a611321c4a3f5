"""The fault matrix of feeds: connections, documents, redirects, limits, and hostile items."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sandbox.faults import Fault
from tasks.ingest.http.retry import RetryPolicy
from warehouse.lake import Lake


def test_well_behaved_vendor_serves_every_item(wire: Any) -> None:
    batch = wire.fetch()
    assert wire.counts(batch) == {"AAPL": 20, "MSFT": 20}
    assert batch.rejects.num_rows == 0
    assert all(batch.headlines.column("synthetic").to_pylist())


def test_429_with_retry_after_waits_as_long_as_asked(wire: Any) -> None:
    batch = wire.fetch(Fault(kind="rate_limited", value=17, times=2))
    assert wire.counts(batch)["AAPL"] == 20
    assert wire.waits == [17.0, 17.0]


def test_429_without_retry_after_backs_off_with_jitter_and_cap(wire: Any) -> None:
    batch = wire.fetch(Fault(kind="rate_limited", times=2))
    assert wire.counts(batch)["AAPL"] == 20
    first, second = wire.waits
    assert 0.005 <= first <= 0.010 <= second <= 0.020


def test_429_that_asks_too_long_is_given_up_at_once(wire: Any) -> None:
    error = wire.error_of(wire.fetch(Fault(kind="rate_limited", value=7200)))
    assert "asks to wait 7200 s, longer than the 30 s" in error
    assert wire.waits == []


def test_500_is_retried_and_then_recorded(wire: Any) -> None:
    error = wire.error_of(wire.fetch(Fault(kind="server_error")))
    assert "HTTP 500" in error
    assert "tried 3 times" in error
    assert len(wire.waits) == 2


def test_connection_reset_mid_body_is_retried(wire: Any) -> None:
    assert wire.counts(wire.fetch(Fault(kind="reset_mid_body", times=1)))["AAPL"] == 20


def test_slow_drip_is_cut_off_at_the_deadline(wire: Any) -> None:
    batch = wire.fetch(
        Fault(kind="slow_drip", value=1),
        deadline=timedelta(seconds=3),
        retry=RetryPolicy(attempts=1),
    )
    assert "longer than the deadline" in wire.error_of(batch)


def test_gzip_bomb_is_refused_before_it_unpacks(wire: Any) -> None:
    before = pa.total_allocated_bytes()
    batch = wire.fetch(Fault(kind="gzip_bomb", value=256), body_bytes=2 << 20)
    assert "more than 2097152 bytes unpacked" in wire.error_of(batch)
    assert pa.total_allocated_bytes() - before < 64 << 20


def test_50_mb_feed_is_refused_before_it_is_read(wire: Any) -> None:
    error = wire.error_of(
        wire.fetch(Fault(kind="huge_feed", value=50), deadline=timedelta(seconds=60))
    )
    assert "more than 4194304 bytes on the wire" in error


def test_html_page_served_as_a_feed_is_refused(wire: Any) -> None:
    batch = wire.fetch(Fault(kind="html_page"))
    assert "not a feed" in wire.error_of(batch)
    assert batch.rejects.column("kind").to_pylist() == ["payload"]
    assert len(batch.payloads) == 2, "the page has landed: it can be looked at"


def test_truncated_xml_keeps_the_whole_items_before_the_break(wire: Any) -> None:
    whole = wire.fetch()
    cut = wire.fetch(Fault(kind="truncated", value=0.6))
    assert 5 < wire.counts(cut)["AAPL"] < 20
    assert set(wire.titles(cut)) <= set(wire.titles(whole))


def test_wrong_declared_encoding_is_read_without_inventing_characters(wire: Any) -> None:
    batch = wire.fetch(Fault(kind="wrong_encoding"))
    titles = [title for title in wire.titles(batch) if "caf" in title]
    assert titles
    assert all(title.startswith("Zürich café – ") for title in titles)


def test_entity_bomb_is_refused_unexpanded(wire: Any) -> None:
    assert "declares entities" in wire.error_of(wire.fetch(Fault(kind="entity_bomb")))


def test_external_entity_is_refused_and_read_from_nowhere(wire: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the combination is 1234")
    batch = wire.fetch(Fault(kind="external_entity", text=secret.as_uri()))
    assert "declares entities" in wire.error_of(batch)
    assert not any("1234" in title for title in wire.titles(batch))


def test_redirect_to_the_metadata_address_is_refused(wire: Any) -> None:
    error = wire.error_of(wire.fetch(Fault(kind="redirect_metadata")))
    assert "169.254.169.254 is not an address on the public internet" in error
    assert len(wire.vendor.requests if wire.vendor else ()) == 2, "the redirect was not followed"


def test_redirect_to_a_file_is_refused(wire: Any) -> None:
    error = wire.error_of(wire.fetch(Fault(kind="redirect_file")))
    assert "only http and https" in error or "no usable address" in error


def test_redirect_loop_ends_at_the_limit(wire: Any) -> None:
    loop = Fault(kind="redirect_loop", text="?s=AAPL&again")
    assert "redirects more than 5 times" in wire.error_of(wire.fetch(loop))


def test_spent_request_budget_is_recorded_and_the_next_run_goes_on(wire: Any) -> None:
    batch = wire.fetch(requests=1)
    outcome = {row["key"]: row for row in batch.partitions.to_pylist()}
    assert sorted(row["state"] for row in outcome.values()) == ["done", "failed"]
    assert any("budget of 1 requests is spent" in (row["error"] or "") for row in outcome.values())
    assert wire.counts(wire.ask()) == {"AAPL": 20, "MSFT": 20}


def test_changed_guid_is_the_same_headline(wire: Any, lake: Lake) -> None:
    wire.fetch(Fault(kind="changed_guid"))
    wire.publish(lake, wire.ask())
    before = lake.snapshot_id()
    again = wire.publish(lake, wire.ask())
    assert again.added == again.revised == 0
    assert lake.sql("SELECT count(*) AS n FROM headlines").column("n").to_pylist() == [40]
    assert lake.snapshot_id() <= before + 1, "at most the ledger notes the new payload"


def test_changed_link_is_the_same_headline(wire: Any, lake: Lake) -> None:
    wire.publish(lake, wire.fetch(Fault(kind="changed_link")))
    again = wire.publish(lake, wire.ask())
    assert again.added == again.revised == 0


def test_edited_title_is_a_revision_and_the_former_wording_is_kept(wire: Any, lake: Lake) -> None:
    wire.publish(lake, wire.fetch(Fault(kind="edited_title", first=2)))
    later = wire.now + timedelta(minutes=10)
    edited = wire.publish(lake, wire.ask(now=later), later)
    assert (edited.added, edited.revised) == (0, 1)
    (earlier,) = lake.sql("SELECT * FROM headline_revisions").to_pylist()
    query = "SELECT * FROM headlines WHERE headline_id = $id"
    (current,) = lake.sql(query, {"id": earlier["headline_id"]}).to_pylist()
    assert current["title"] == earlier["title"] + " (corrected)"
    assert current["available_at"] == later > earlier["available_at"]


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
def test_impossible_date_goes_to_quarantine(wire: Any, lake: Lake, kind: Any, reason: str) -> None:
    batch = wire.fetch(Fault(kind=kind))
    assert [(row["key"], row["reason"]) for row in batch.rejects.to_pylist()] == [("AAPL", reason)]
    assert wire.counts(batch) == {"AAPL": 19, "MSFT": 20}
    assert wire.publish(lake, batch).quarantined == 1
    assert wire.publish(lake, wire.ask()).quarantined == 0


def test_lookahead_back_dated_item_is_available_only_once_seen(wire: Any) -> None:
    batch = wire.fetch(Fault(kind="back_dated"))
    (oldest,) = batch.headlines.slice(0, 1).to_pylist()
    assert oldest["published_at"] < wire.now - timedelta(days=25)
    assert oldest["available_at"] == wire.now


def test_script_in_title_leaves_only_words(wire: Any) -> None:
    clean, hostile = wire.titles(wire.fetch()), wire.titles(wire.fetch(Fault(kind="script_title")))
    assert sorted(clean) == sorted(hostile)


def test_control_characters_in_title_are_removed(wire: Any) -> None:
    hostile = wire.titles(wire.fetch(Fault(kind="control_characters")))
    assert all(title.isprintable() for title in hostile)
    assert any(title.endswith("[31m") for title in hostile), "what can be printed is kept"


def test_newlines_in_title_become_one_line(wire: Any) -> None:
    hostile = wire.titles(wire.fetch(Fault(kind="newline_title")))
    (hostile_title,) = [title for title in hostile if "Answer" in title]
    assert hostile_title.endswith(" ### Answer: up")


def test_label_words_and_instructions_in_title_are_kept_as_text(wire: Any) -> None:
    batch = wire.fetch(Fault(kind="label_words"))
    assert any(title.startswith("up down up: ") for title in wire.titles(batch))
    batch = wire.fetch(Fault(kind="instructions"))
    assert any(title.startswith("Ignore all previous instructions") for title in wire.titles(batch))
