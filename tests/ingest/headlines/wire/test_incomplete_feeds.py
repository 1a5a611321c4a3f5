"""Feeds that are not whole: documents that end early, full answers, placeholders, odd bodies."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import fetch_headlines
from tasks.ingest.headlines.gaps import with_gaps
from tasks.ingest.headlines.parsing import parse_feed
from tasks.ingest.http.client import feed_client
from tasks.ingest.http.retry import FeedLimits, RetryPolicy
from tasks.ingest.planning import incomplete_ranges, ledger_of
from tests.builders.servers import answering
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.batches import HeadlineBatch
from warehouse.tables.headlines import publish_headlines

NOW = datetime(2025, 10, 1, 12, tzinfo=UTC)
FIRST, LAST = date(2025, 9, 1), date(2025, 9, 30)
CAP = 10
SEARCH = FeedSpec(
    name="finder",
    url="http://finder.example/rss?q={ticker}+after:{start}+before:{end}",
    mode="search",
    chunk="month",
    cap=CAP,
)
POLL = FeedSpec(name="latest", url="http://latest.example/rss?s={ticker}", cap=CAP)
QUICK = FeedLimits(retry=RetryPolicy(attempts=2, first_wait=0.01))
Fetch = Callable[..., HeadlineBatch]
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0">'


def item(number: int, published: datetime = datetime(2025, 9, 2, 20, 30, tzinfo=UTC)) -> str:
    return (
        f"<item><title>Harlow häuft story {number}</title><guid>n{number}</guid>"
        f"<pubDate>{format_datetime(published, usegmt=True)}</pubDate></item>"
    )


def rss(*items: str, title: str = "Wire") -> bytes:
    inner = f"<channel><title>{title}</title>{''.join(items)}</channel>"
    return f"{HEAD}{inner}</rss>\n".encode()


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Fetches from an address on loopback, with the clock at NOW."""

    def run(address: str, feed: FeedSpec = SEARCH, now: datetime = NOW) -> HeadlineBatch:
        with feed_client(address, QUICK, sleep=lambda _: None) as client:
            return fetch_headlines(
                feed,
                ("HRLW",),
                FIRST,
                LAST,
                client=client,
                clock=lambda: now,
                land=Landing(tmp_path / "landing").store,
            )

    return run


@pytest.mark.parametrize(
    "cut",
    [
        rss(item(1), item(2), item(3))[: -len("</channel></rss>\n")],
        rss(item(1), item(2), item(3)).partition(b"<guid>n2")[0],
        rss(item(1), item(2), item(3)).partition(b"\xa4uft story 2")[0],
        rss(item(1), item(2), item(3)).partition(
            b"</item><item><title>Harlow h\xc3\xa4uft story 3"
        )[0],
    ],
    ids=["no end of the root", "inside a tag", "inside a character", "inside item 2"],
)
def test_document_that_ends_early_keeps_its_whole_items_and_is_partial(
    fetch: Fetch, lake: Lake, cut: bytes
) -> None:
    with answering(lambda _: cut) as address:
        batch = fetch(address)
    [row] = batch.partitions.to_pylist()
    titles = sorted(batch.headlines["title"].to_pylist())
    assert titles == [f"Harlow häuft story {number}" for number in (1, 2, 3)][: len(titles)]
    assert row["state"] == "partial"
    assert row["received"] == row["rows"] == len(titles) == cut.count(b"</item>")
    assert batch.rejects.num_rows == 0, "the item that is cut off is asked for again"
    publish_headlines(lake, batch, now=NOW)
    assert ledger_of(lake, "finder", NOW).due == {}
    assert ledger_of(lake, "finder", NOW + timedelta(hours=4)).due == {"HRLW": [(FIRST, LAST)]}
    [known] = incomplete_ranges(lake, "finder", None, (FIRST, LAST))
    assert "ends early (whole items:" in known.words
    with answering(lambda _: rss(item(1), item(2), item(3))) as address:
        publish_headlines(lake, fetch(address), now=NOW)
    assert lake.sql("SELECT state FROM partitions")["state"].to_pylist() == ["done"]
    assert lake.sql("SELECT * FROM headlines").num_rows == 3


WHOLE = rss(*map(item, range(8)))


@settings(max_examples=60, database=None, deadline=None)
@given(
    at=st.integers(len(b'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0">'), len(WHOLE))
)
def test_wherever_a_document_is_cut_a_prefix_of_its_items_is_kept(at: int) -> None:
    whole, cut = parse_feed(WHOLE), parse_feed(WHOLE[:at])
    assert cut.items == whole.items[: len(cut.items)]
    assert cut.refused == ()
    assert len(cut.items) == WHOLE[:at].count(b"</item>")
    assert cut.cut is (b"</rss" not in WHOLE[:at])


@contextmanager
def breaking_off(head: str, body: bytes) -> Iterator[str]:
    """A server that promises more than it sends, each time."""

    def serve() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + body)

    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_body_shorter_than_promised_is_used_as_far_as_it_came(fetch: Fetch) -> None:
    body = rss(item(1), item(2))[:-60]
    with breaking_off(f"Content-Length: {len(body) + 60}", body) as address:
        batch = fetch(address)
    assert batch.partitions.select(["state", "rows"]).to_pylist() == [
        {"state": "partial", "rows": 1}
    ]


def test_gzip_body_that_breaks_off_is_used_as_far_as_it_came(fetch: Fetch) -> None:
    items = [item(number, NOW - timedelta(hours=number, minutes=number**3)) for number in range(9)]
    packed = gzip.compress(rss(*items), compresslevel=1)[:-60]
    head = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}"
    with breaking_off(head, packed) as address:
        batch = fetch(address)
    [row] = batch.partitions.to_pylist()
    assert row["state"] == "partial"
    assert 0 < row["rows"] < 9


def test_body_that_breaks_off_before_anything_came_is_a_failure(fetch: Fetch) -> None:
    with breaking_off("Content-Length: 500", b"") as address:
        [row] = fetch(address).partitions.to_pylist()
    assert row["state"] == "failed"
    assert "broke off" in row["error"]


def test_gzip_body_without_a_header_is_read(fetch: Fetch) -> None:
    with answering(lambda _: gzip.compress(gzip.compress(rss(item(1))))) as address:
        batch = fetch(address)
    assert batch.headlines["title"].to_pylist() == ["Harlow häuft story 1"]


def test_gzip_body_without_a_header_is_no_way_around_the_limit(fetch: Fetch) -> None:
    with answering(lambda _: gzip.compress(b" " * (9 << 20))) as address:
        [row] = fetch(address).partitions.to_pylist()
    assert "more than 8388608 bytes unpacked" in row["error"]


def test_json_feed_is_read_as_any_other(fetch: Fetch) -> None:
    entry = {
        "id": 1, "title": "Harlow rises &amp; rises", "url": "https://wire.example/1",
        "date_published": "2025-09-09T13:05:00Z", "summary": "By <b>5 %</b>",
    }  # fmt: skip
    second = {"id": "2", "title": "Harlow falls", "date_published": "someday"}
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "W", "items": [entry, second]}
    body = json.dumps(feed).encode()
    with answering(lambda _: body) as address:
        batch = fetch(address)
    [row] = batch.headlines.to_pylist()
    assert (row["title"], row["summary"], row["guid"]) == ("Harlow rises & rises", "By 5 %", "1")
    assert row["published_at"] == datetime(2025, 9, 9, 13, 5, tzinfo=UTC)
    assert batch.rejects["reason"].to_pylist() == ["date not understood"]
    cut = parse_feed(body[: body.index(b"someday")])
    assert (len(cut.items), cut.cut) == (1, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (rss(item(1).replace("Harlow häuft story 1", "Y! Finance: RSS feed not found")), "RSS"),
        (rss(title="Error"), "a placeholder: it says 'Error'"),
        (rss(item(1), title="404 Not Found"), "it says '404 Not Found'"),
        (rss(title="Access denied."), "it says 'Access denied.'"),
        (b"<!DOCTYPE html><html><head><title>Sorry &ndash; busy</title></head></html>",
         r"an HTML page titled 'Sorry &ndash; busy', beginning '<!DOCTYPE html>"),
        (b"<html><body>no title</body></html>", "an HTML page without a title, beginning '<html>"),
        (b'{"error": "quota"}', r"""JSON but no JSON Feed, beginning '{"error": "quota"}'"""),
        (b"Rate limit exceeded", "something that begins 'Rate limit exceeded'"),
    ],
)  # fmt: skip
def test_answer_that_only_looks_like_a_feed_is_a_failed_one(
    fetch: Fetch, body: bytes, words: str
) -> None:
    with answering(lambda _: body) as address:
        batch = fetch(address)
    [row] = batch.partitions.to_pylist()
    assert (row["state"], batch.headlines.num_rows) == ("failed", 0)
    assert words in row["error"]
    assert batch.rejects["kind"].to_pylist() == ["payload"]


@pytest.mark.parametrize(
    "title",
    ["Error in Harlow's books found", "Harlow: feed business not found wanting", "404 Media raises",
     "Invalid ticker symbols cost Harlow $1m", "Harlow access denied to auditors"],
)  # fmt: skip
def test_headline_about_errors_is_a_headline(title: str) -> None:
    body = rss(item(1).replace("Harlow häuft story 1", title))
    assert [one.title for one in parse_feed(body).items] == [title]


def test_feed_without_items_is_empty(fetch: Fetch) -> None:
    with answering(lambda _: rss()) as address:
        assert fetch(address).partitions["state"].to_pylist() == ["empty"]


@contextmanager
def search_engine(stories: list[datetime], cap: int) -> Iterator[str]:
    """Answers searches for the days its address names with the newest stories, `cap` at most."""

    def answer(path: str) -> bytes:
        words = parse_qs(urlsplit(path).query)["q"][0]
        first, after = (
            datetime.combine(date.fromisoformat(day), time(), UTC)
            for day in re.findall(r"\d{4}-\d{2}-\d{2}", words)
        )
        found = [item(number, at) for number, at in enumerate(stories) if first <= at < after]
        return rss(*found[:cap])

    with answering(answer) as address:
        yield address


@settings(
    max_examples=12,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    busy=st.lists(st.tuples(st.integers(0, 29), st.integers(1, 14)), max_size=4),
    cap=st.integers(2, 12),
)
def test_search_over_its_cap_is_split_until_all_is_found_or_marked(
    fetch: Fetch, busy: list[tuple[int, int]], cap: int
) -> None:
    stories = [
        datetime.combine(FIRST + timedelta(days=day), time(hour), UTC)
        for day, count in busy
        for hour in range(count)
    ]
    with search_engine(stories, cap) as address:
        batch = fetch(address, SEARCH.model_copy(update={"cap": cap}))
    rows = sorted(batch.partitions.to_pylist(), key=lambda row: row["range_start"])
    assert rows[0]["range_start"] == FIRST
    assert rows[-1]["range_end"] == LAST
    for one, other in itertools.pairwise(rows):
        assert other["range_start"] - one["range_end"] == timedelta(days=1)
    marked = {row["range_start"] for row in rows if row["state"] == "partial"}
    assert all("single day" in row["error"] for row in rows if row["state"] == "partial")
    full = {day for day in {at.date() for at in stories}
            if sum(at.date() == day for at in stories) >= cap}  # fmt: skip
    assert marked == full
    found = set(batch.headlines["published_at"].to_pylist())
    assert {at for at in stories if at.date() not in marked} <= found


def test_split_range_takes_the_place_of_the_partial_one(fetch: Fetch, lake: Lake) -> None:
    with answering(lambda _: rss(item(1))[:-20]) as address:
        publish_headlines(lake, fetch(address), now=NOW)
    stories = [datetime.combine(FIRST, time(), UTC) + timedelta(days=day) for day in range(20)]
    with search_engine(stories, CAP) as address:
        publish_headlines(lake, fetch(address), now=NOW)
    rows = lake.sql("SELECT range_start, state FROM partitions ORDER BY range_start").to_pylist()
    assert {row["state"] for row in rows} <= {"done", "empty"}
    assert len(rows) > 1
    assert ledger_of(lake, "finder", NOW + timedelta(days=99)).due == {}


def test_full_poll_without_a_known_item_leaves_a_gap_that_stays_visible(
    fetch: Fetch, lake: Lake
) -> None:
    def poll(numbers: range, hours: int) -> None:
        moment = NOW + timedelta(hours=hours)
        with answering(lambda _: rss(*map(item, numbers))) as address:
            batch = with_gaps(lake, POLL, fetch(address, POLL, moment))
        publish_headlines(lake, batch, now=moment)

    def state() -> list[tuple[str, bool]]:
        rows = lake.sql("SELECT state, retry_at FROM partitions").to_pylist()
        return [(row["state"], row["retry_at"] is None) for row in rows]

    poll(range(10), 0)
    assert state() == [("done", True)], "nothing was known before the first poll"
    poll(range(5, 15), 1)
    assert state() == [("done", True)], "it reaches back to what is known"
    poll(range(15, 20), 2)
    assert state() == [("done", True)], "it shows fewer than it could"
    poll(range(30, 40), 3)
    assert state() == [("partial", True)]
    poll(range(35, 45), 4)
    assert state() == [("partial", True)], "a later poll does not bring it back"
    [known] = incomplete_ranges(lake, "latest", None, (FIRST, LAST))
    assert "between the poll of 2025-10-01 14:00 UTC and this one was not seen" in known.words
    assert ledger_of(lake, "latest", NOW + timedelta(days=99)).due == {}
