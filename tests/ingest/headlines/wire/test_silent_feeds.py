"""A feed that gave items and gives none that can be used is an alarm, and is asked again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import fetch_headlines
from tasks.ingest.headlines.gaps import with_gaps
from tasks.ingest.http.client import feed_client
from tasks.ingest.http.retry import FeedLimits, RetryPolicy
from tasks.ingest.planning import incomplete_ranges, ledger_of
from tests.builders.servers import answering
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.headlines import publish_headlines

DAY = timedelta(days=1)
NOW = datetime(2025, 10, 1, 12, tzinfo=UTC)
POLL = FeedSpec(name="latest", url="http://latest.example/rss?s={ticker}")
SEARCH = FeedSpec(
    name="finder",
    url="http://finder.example/rss?q={ticker}+after:{start}+before:{end}",
    mode="search",
    chunk="day",
)
QUICK = FeedLimits(retry=RetryPolicy(attempts=1))


def rss(*published: datetime, tag: str = "item", title: str = "title") -> bytes:
    """A feed with an item of each moment, perhaps under other names than usual."""
    items = "".join(
        f"<{tag}><{title}>Harlow finds ore in field {at:%d %H}</{title}><guid>{at}</guid>"
        f"<pubDate>{format_datetime(at, usegmt=True)}</pubDate></{tag}>"
        for at in published
    )
    return f'<rss version="2.0"><channel><title>Wire</title>{items}</channel></rss>'.encode()


class Reading:
    """Reads one feed as the flows do, a day at a time, into one warehouse."""

    def __init__(self, lake: Lake, folder: Path, feed: FeedSpec) -> None:
        self.lake, self.feed, self.landing = lake, feed, Landing(folder / "landing")

    def read(self, body: bytes, now: datetime, day: date | None = None) -> tuple[str, str]:
        """State and error of the ledger's row for `day`, by default that of `now`."""
        asked = day or now.date()
        with (
            answering(lambda _: body) as address,
            feed_client(address, QUICK, sleep=lambda _: None) as client,
        ):
            batch = fetch_headlines(
                self.feed, ("HRLW",), asked, asked,
                client=client, clock=lambda: now, land=self.landing.store,
            )  # fmt: skip
        publish_headlines(self.lake, with_gaps(self.lake, self.feed, batch), now=now)
        [row] = self.lake.sql(
            "SELECT state, error FROM partitions WHERE range_start = $day", {"day": asked}
        ).to_pylist()
        return row["state"], row["error"] or ""


@pytest.mark.parametrize(
    ("silent", "words"),
    [
        (rss(NOW, tag="entry_"), "no item at all"),
        (rss(), "no item at all"),
        (rss(NOW, NOW, title="headline"), "2 items of which none can be used (no title)"),
        (rss(NOW + 400 * DAY), "1 items of which none can be used (published in the future)"),
    ],
    ids=["items renamed", "no items", "titles renamed", "clock behind"],
)
def test_poll_that_gives_nothing_more_is_an_alarm(
    lake: Lake, tmp_path: Path, silent: bytes, words: str
) -> None:
    feed = Reading(lake, tmp_path, POLL)
    assert feed.read(rss(NOW - DAY), NOW - DAY) == ("done", "")
    state, error = feed.read(silent, NOW)
    assert state == "partial"
    assert error.startswith(words)
    assert "2025-09-30 12:00" in error
    today = (NOW.date(), NOW.date())
    [known] = incomplete_ranges(lake, "latest", ("HRLW",), today)
    assert "asked for again from" in known.words
    assert ledger_of(lake, "latest", NOW + DAY).due == {"HRLW": [today]}
    assert feed.read(rss(NOW - DAY), NOW + timedelta(hours=1))[0] == "done"


def test_feed_that_never_gave_anything_is_no_alarm(lake: Lake, tmp_path: Path) -> None:
    feed = Reading(lake, tmp_path, POLL)
    assert feed.read(rss(), NOW - DAY) == ("empty", "")
    assert feed.read(rss(), NOW) == ("empty", "")


def test_search_is_silent_only_after_a_pause_it_never_made(lake: Lake, tmp_path: Path) -> None:
    feed = Reading(lake, tmp_path, SEARCH)
    first = NOW - 30 * DAY
    for at in (first, first + 3 * DAY):
        assert feed.read(rss(at), NOW, at.date()) == ("done", "")
    quiet, long = first + 10 * DAY, first + 20 * DAY
    assert feed.read(rss(), NOW, quiet.date()) == ("empty", "")
    state, error = feed.read(rss(), NOW, long.date())
    assert (state, error[:14]) == ("partial", "no item at all")
    unreadable = feed.read(rss(quiet + DAY, title="headline"), NOW, (quiet + DAY).date())
    assert unreadable[0] == "partial"
    due = ledger_of(lake, "finder", NOW + DAY).due["HRLW"]
    assert {(long.date(), long.date()), ((quiet + DAY).date(),) * 2} <= set(due)
