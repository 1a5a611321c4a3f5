"""Feed parsing: bytes to plain-text items; RSS, Atom and JSON Feed, well-formed or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

from tasks.ingest.headlines.dates import DateRefusedError, Granularity, parse_first
from tasks.ingest.headlines.documents import (
    DAMAGE,
    MOST_PLACEHOLDERS,
    described,
    json_feed,
    placeholder,
    whole_part,
    with_damage_marked,
)
from tasks.ingest.headlines.plain_text import clean_text, strays_escaped
from tasks.ingest.headlines.wellformed import Entries, read_wellformed
from tasks.ingest.unreadable import in_one_line

LONGEST_TITLE = 1_000
LONGEST_SUMMARY = 4_000

_DECLARED_ENTITY = re.compile(rb"<!ENTITY\b", re.IGNORECASE)
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON can spell it, no table can hold it
_DATES = ("published", "updated", "created")


class FeedParseError(RuntimeError):
    """The bytes are not a feed that can be read; the message says what they are instead."""


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One usable item: a title in plain text and an instant in UTC.

    `granularity` and `day` say what the instant is good for, as in dates.DATED. `tickers` are the
    symbols that its vendor lists, `updated_at` is when it says that these words are from.
    """

    title: str
    summary: str | None
    url: str | None
    guid: str | None
    published_at: datetime
    granularity: Granularity = "second"
    day: date | None = None
    tickers: tuple[str, ...] = ()
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """One item that cannot be used, the reason, and what the feed had there."""

    reason: str
    record: dict[str, str]


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """The items of one feed in document order, each either usable or refused.

    `cut`: the document ends early; the items are those before its end. `following`: what an API's
    answer says of its next page, as it stands there.
    """

    version: str
    items: tuple[FeedItem, ...]
    refused: tuple[RefusedItem, ...]
    cut: bool = False
    following: Any = None


def parse_feed(body: bytes, content_type: str = "", zone: tzinfo | None = None) -> ParsedFeed:
    """Read a feed's items.

    `body` is what the server sent, with any content encoding undone; `content_type` is its header
    and helps to find the character encoding; `zone` is that of dates that name none. Raises
    FeedParseError for what is no feed, or is one that declares entities (the way into entity bombs
    and external files), and never reads anything but `body`.
    """
    if not body.strip():
        raise FeedParseError("The answer is empty; expected an RSS or Atom document.")
    try:
        return _sort_items(*(json_feed(body) or _parsed(body, content_type)), zone)
    except FeedParseError:
        raise
    except Exception as error:  # feedparser lets many kinds of error escape from hostile bytes
        raise FeedParseError(
            f"The document broke the feed parser ({in_one_line(error)})."
        ) from error


def _parsed(body: bytes, content_type: str) -> tuple[str, list[dict[str, Any]], bool]:
    """Version and entries under feedparser's names, and whether the document ends early."""
    text, cut = in_utf8(body, content_type)
    version, feed, entries = read_wellformed(text) or read_by_feedparser(text)
    if not version and not entries:
        what = described(text.decode("utf-8", "replace"))
        raise FeedParseError(
            f"The document is not a feed: it is {what}; expected RSS, Atom or JSON Feed."
        )
    titles = (clean_text(_text(entry, "title")) for entry in entries[: MOST_PLACEHOLDERS + 1])
    if said := placeholder(clean_text(_text(feed, "title")), titles):
        raise FeedParseError(
            f"The feed is a placeholder: it says {said[:LONGEST_TITLE]!r} and has no items of its "
            "own. Correct its address, or ask later."
        )
    return version or "unknown", entries, cut


def in_utf8(body: bytes, content_type: str) -> tuple[bytes, bool]:
    """The document in UTF-8 up to its last whole item, and whether it ends early.

    Raises FeedParseError for one that declares entities.
    """
    from feedparser.encodings import convert_to_utf8

    # Before the encoding is guessed: half a character at the end would mislead the guess.
    body, cut = whole_part(body)
    body = with_damage_marked(body)
    headers = {"content-type": content_type or "application/xml"}
    text: bytes = convert_to_utf8(headers, body, {"bozo": False})
    if _DECLARED_ENTITY.search(text):
        raise FeedParseError(
            "The document declares entities, which feeds have no need of and which can expand "
            "without bound or read local files; it was not parsed."
        )
    # An encoding in which ASCII does not stand for itself can be looked into only now.
    text, cut_after_all = whole_part(text)
    return text, cut or cut_after_all


def read_by_feedparser(text: bytes) -> Entries:
    """The entries of a document in UTF-8, well-formed or not; version "" for what is no feed."""
    import feedparser

    # Bytes only: feedparser opens a string as an address or a file. Sanitising is left out because
    # all markup is removed below.
    feed = feedparser.parse(
        strays_escaped(text),
        response_headers={"content-type": "application/xml; charset=utf-8"},
        sanitize_html=False,
        resolve_relative_uris=False,
    )
    return str(feed.version or ""), feed.feed, feed.entries


def _sort_items(
    version: str, entries: list[dict[str, Any]], cut: bool, zone: tzinfo | None
) -> ParsedFeed:
    usable: list[FeedItem] = []
    refused: list[RefusedItem] = []
    for entry in entries:
        item = read_entry(entry, zone)
        if isinstance(item, FeedItem):
            usable.append(item)
        else:
            refused.append(item)
    return ParsedFeed(version, tuple(usable), tuple(refused), cut)


def read_entry(entry: dict[str, Any], zone: tzinfo | None) -> FeedItem | RefusedItem:
    """An item from texts under feedparser's names; `zone` is that of dates that name none."""
    written = _text(entry, "title")
    title = _without_publisher(clean_text(written), entry)
    dates = tuple(text for name in _DATES if (text := _text(entry, name)))
    link = _text(entry, "link")
    guid = clean_text(_text(entry, "id"))
    record = {"title": title, "date": dates[0] if dates else "", "link": link, "guid": guid}
    if not title:
        return refuse("no title", record)
    if DAMAGE in title or DAMAGE in written:
        return refuse("title with a damaged character", record)
    if len(title) > LONGEST_TITLE:
        return refuse(f"title longer than {LONGEST_TITLE} characters", record)
    try:
        stamp = parse_first(dates, zone)
    except DateRefusedError as refusal:
        return refuse(str(refusal), record)
    return FeedItem(
        title=title,
        summary=clean_text(_text(entry, "summary"))[:LONGEST_SUMMARY].rstrip() or None,
        url=link if _WEB_ADDRESS.fullmatch(link) else None,
        guid=guid or None,
        published_at=stamp.at,
        granularity=stamp.granularity,
        day=stamp.day,
    )


def _without_publisher(title: str, entry: dict[str, Any]) -> str:
    """The title less the name of its publisher, which aggregators append and give as `<source>`."""
    source = dict.get(entry, "source")
    publisher = clean_text(_text(source, "title")) if isinstance(source, dict) else ""
    if not publisher:
        return title
    for mark in " - ", " – ", " — ", " | ":
        if len(shorter := title.removesuffix(mark + publisher)) < len(title):
            return shorter.rstrip() or title
    return title


def refuse(reason: str, record: dict[str, str]) -> RefusedItem:
    """An item that cannot be used, its texts cut to a size that fits the quarantine."""
    return RefusedItem(reason, {name: text[:LONGEST_TITLE] for name, text in record.items()})


def _text(entry: dict[str, Any], name: str) -> str:
    # dict.get, because FeedParserDict.get answers one date under another's name.
    value = dict.get(entry, name)
    if not isinstance(value, str):
        return ""
    # Asking is free, and most texts are: the search took a tenth of the time of a feed.
    return value if value.isascii() else _HALF_CHARACTER.sub(DAMAGE, value)
