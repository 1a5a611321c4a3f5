"""Nothing a feed can say crashes the parser or gets an unclean or undated headline past it."""

from __future__ import annotations

import html
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ingest.headlines.batch_builder import BatchBuilder
from tasks.ingest.headlines.dates import DateRefusedError, parse_published, read_date_column
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.parsing import FeedItem, FeedParseError, parse_feed
from tasks.ingest.headlines.plain_text import clean_column, clean_text
from tasks.ingest.headlines.requests import FeedRequest
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import Payload

NOW = datetime(2024, 1, 2, tzinfo=UTC)
MARKUP = re.compile(r"<!--|</[a-z]+\s*>|<(?:a|b|i|p|br|em)\s*/?>|<(?:script|style|img)[\s>]", re.I)
HOSTILE = st.sampled_from(
    [
        *(
            "<a href='x'>",
            "<img src=x ",
            "<consensus",
            "S&P",
            "<b",
            "<b>",
            "</b>",
            "<script>",
            "</script>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "&",
            "<",
            ">",
        ),
        *("&amp;", "&lt;", "&#60;", "&#x3c;", "&#0;", "&#55296;", "&nbsp;", "\x00", "\x07", "\r\n"),
        *("\t", "\u202e", "\u200b", "\ufeff", "\u0338", "e\u0301", "\U000e0041", "up", "down", "'"),
    ]
)
TEXTS = st.lists(HOSTILE | st.text(max_size=8), max_size=12).map("".join)
# Arrow knows no summer time after it; a later date is refused for being in the future.
LAST_YEAR = 2037

DATES = st.one_of(
    st.datetimes(datetime(1970, 1, 1), datetime(LAST_YEAR, 12, 31)).map(  # noqa: DTZ001 - a wall clock
        lambda at: at.strftime("%a, %d %b %Y %H:%M:%S GMT")
    ),
    st.datetimes(datetime(1970, 1, 1), datetime(LAST_YEAR, 12, 31)).map(datetime.isoformat),  # noqa: DTZ001
    st.text(max_size=30),
    st.sampled_from(["", "2016/6/29", "now", "0", "Tue, 31 Feb 2020 10:00:00 GMT", "9" * 40]),
)
ITEMS = st.lists(st.tuples(TEXTS, DATES, TEXTS), max_size=4)


def is_clean(text: str) -> bool:
    return (
        text.isprintable()
        and text == text.strip()
        and not MARKUP.search(text)
        and html.unescape(text) == text
        and unicodedata.is_normalized("NFC", text)
    )


def usable(item: FeedItem) -> bool:
    dated = item.published_at.utcoffset() == timedelta(0)
    return bool(item.title) and is_clean(item.title) and is_clean(item.summary or "") and dated


def feed(items: list[tuple[str, str, str]], *, escaped: bool) -> bytes:
    spelled = escape if escaped else str
    body = "".join(
        f"<item><title>{spelled(title)}</title><pubDate>{spelled(date)}</pubDate>"
        f"<description>{spelled(summary)}</description><guid>{spelled(title)}</guid></item>"
        for title, date, summary in items
    )
    return f"<rss version='2.0'><channel>{body}</channel></rss>".encode("utf-8", "surrogatepass")


@settings(deadline=None)
@given(TEXTS)
def test_cleaned_text_is_clean_and_stays_as_it_is(text: str) -> None:
    cleaned = clean_text(text)
    assert is_clean(cleaned), (text, cleaned)
    assert clean_text(cleaned) == cleaned


@settings(deadline=None)
@given(st.lists(st.none() | TEXTS.filter(lambda text: text.isprintable()), max_size=8))
def test_a_column_is_cleaned_as_its_values_are(texts: list[str | None]) -> None:
    expected = [None if text is None else clean_text(text) for text in texts]
    assert clean_column(pa.array(texts, pa.string())).to_pylist() == expected


@settings(deadline=None)
@given(DATES)
def test_a_date_is_an_instant_in_utc_or_refused(text: str) -> None:
    try:
        stamp = parse_published(text)
    except DateRefusedError:
        return
    assert stamp.at.utcoffset() == timedelta(0)
    assert stamp.granularity != "day" or stamp.day is not None


ZONES = st.sampled_from(
    ["", "Z", "+00", "-05:00", "+0530", "+15:00", "+05:75", " GMT", " UTC", " EST", " +0000", " x"]
)
SECONDS = st.sampled_from(["", ":07", ":07.25", ":61"])
CLOCKS = st.builds("{:02}:{:02}{}{}".format, st.integers(0, 24), st.integers(0, 60), SECONDS, ZONES)
ISO = st.builds(
    "{:04}-{:02}-{:02}{}{}".format,
    st.integers(1969, LAST_YEAR),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from(["T", " "]),
    CLOCKS,
)
RFC = st.builds(
    "{}, {:02} {} {} {}".format,
    st.sampled_from(["Mon", "Tue", "Wed", "Thu", "Fri"]),
    st.integers(0, 32),
    st.sampled_from(["Jan", "Feb", "Mar", "Dec"]),
    st.integers(1969, LAST_YEAR),
    CLOCKS,
)


def scalar(text: str, zone: str | None) -> dict[str, object]:
    try:
        stamp = parse_published(text, ZoneInfo(zone) if zone else None)
    except DateRefusedError as refusal:
        return dict.fromkeys(("published_at", "granularity", "day")) | {"refusal": str(refusal)}
    return {
        "published_at": stamp.at,
        "granularity": stamp.granularity,
        "day": stamp.day,
        "refusal": None,
    }


@settings(deadline=None, max_examples=60)
@given(
    st.lists(ISO | RFC | DATES, min_size=1, max_size=40),
    st.sampled_from([None, "America/New_York", "Asia/Kolkata"]),
)
def test_a_column_of_dates_is_read_as_its_values_are(texts: list[str], zone: str | None) -> None:
    """One grammar: for the same second, to the same granularity, or refused for the same reason."""
    with scratch() as engine:
        read = read_date_column(pa.array(texts, pa.string()), zone, None, engine).to_pylist()
    for text, row in zip(texts, read, strict=True):
        if at := row["published_at"]:
            row["published_at"] = at.replace(microsecond=0)
        else:
            row |= {"granularity": None, "day": None}
        assert row == scalar(text, zone), text


@settings(deadline=None)
@given(ITEMS, st.booleans())
def test_no_item_gets_through_unclean_or_undated(
    items: list[tuple[str, str, str]], escaped: bool
) -> None:
    try:
        parsed = parse_feed(feed(items, escaped=escaped))
    except FeedParseError:
        return
    assert all(usable(item) for item in parsed.items)
    assert all(refused.reason for refused in parsed.refused)


@settings(deadline=None)
@given(ITEMS, st.data())
def test_damaged_bytes_never_crash_the_parser(
    items: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    body = bytearray(feed(items, escaped=True))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
        body = body or bytearray(b"<")
    content_type = data.draw(st.sampled_from(["", "text/xml; charset=utf-16", "text/html", "\x00"]))
    try:
        parsed = parse_feed(bytes(body), content_type)
    except FeedParseError:
        return
    assert all(usable(item) for item in parsed.items)


@settings(deadline=None, max_examples=25)
@given(ITEMS)
def test_every_item_of_a_feed_is_a_headline_or_a_reject(items: list[tuple[str, str, str]]) -> None:
    body = feed(items, escaped=True)
    builder = BatchBuilder(FeedSpec(name="fuzz", url="http://fuzz.example/{ticker}"))
    request = FeedRequest("AAPL", "http://fuzz.example/AAPL", NOW.date(), NOW.date())
    builder.add(request, Payload("fuzz", request.url, 200, (), body, NOW), "p")
    batch = builder.batch()
    assert all(is_clean(title) for title in batch.headlines["title"].to_pylist())
    assert all(
        at <= NOW + timedelta(minutes=5) for at in batch.headlines["published_at"].to_pylist()
    )
    kept = batch.partitions["rows"].to_pylist()[0]
    refused = batch.rejects["kind"].to_pylist().count("headline")
    whole = "\x00" not in str(items) and batch.rejects["kind"].to_pylist().count("payload") == 0
    if whole and all(text.isprintable() for item in items for text in item):
        assert kept + refused == len(items)


def test_null_in_the_name_of_an_encoding_is_refused() -> None:
    with pytest.raises(FeedParseError, match="broke the feed parser"):
        parse_feed(b"<?xml version='1.0' encoding='utf\x00-8'?><rss version='2.0'></rss>")
