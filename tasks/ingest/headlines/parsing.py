"""From the bytes of a feed to its items; RSS 0.9x, 1.0, 2.0 and Atom, well-formed or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.ingest.headlines.dates import DateRefusedError, parse_published
from tasks.ingest.headlines.text import clean_text

LONGEST_TITLE = 1_000
LONGEST_SUMMARY = 4_000

_DECLARED_ENTITY = re.compile(rb"<!ENTITY\b", re.IGNORECASE)
_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)


class FeedParseError(RuntimeError):
    """The bytes are not a feed that can be read; the message says what they are instead."""


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One item that can be believed: a title in plain text and an instant in UTC."""

    title: str
    summary: str | None
    url: str | None
    guid: str | None
    published_at: datetime


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """One item that cannot be used, the reason, and what the feed said."""

    reason: str
    record: dict[str, str]


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """The items of one feed in document order, each either believed or refused."""

    version: str
    items: tuple[FeedItem, ...]
    refused: tuple[RefusedItem, ...]


def parse_feed(body: bytes, content_type: str = "") -> ParsedFeed:
    """Read a feed's items.

    `body` is what the server sent, with any content encoding undone; `content_type` is its header
    and helps to find the character encoding. Raises FeedParseError for what is no feed, or is one
    that declares entities (the way into entity bombs and external files), and never reads
    anything but `body`.
    """
    if not body.strip():
        raise FeedParseError("The answer is empty; expected an RSS or Atom document.")
    try:
        text, feed = _parsed(body, content_type)
    except FeedParseError:
        raise
    except Exception as error:  # feedparser lets many kinds of error escape from hostile bytes
        raise FeedParseError(
            f"The document broke the feed parser ({type(error).__name__}: {error})."
        ) from error
    if not feed.version and not feed.entries:
        raise FeedParseError(
            f"The document is not a feed: it begins {_beginning(text)!r}; expected RSS or Atom."
        )
    return _sort_items(str(feed.version or "unknown"), feed.entries)


def _parsed(body: bytes, content_type: str) -> tuple[bytes, Any]:
    """The document as UTF-8 and what feedparser makes of it."""
    import feedparser
    from feedparser.encodings import convert_to_utf8

    headers = {"content-type": content_type or "application/xml"}
    text = convert_to_utf8(headers, body, {"bozo": False})
    if _DECLARED_ENTITY.search(text):
        raise FeedParseError(
            "The document declares entities, which feeds have no need of and which can expand "
            "without bound or read local files; it was not parsed."
        )
    # Bytes only: feedparser opens a string as an address or a file. Sanitising is left out because
    # all markup is removed below.
    return text, feedparser.parse(
        text,
        response_headers={"content-type": "application/xml; charset=utf-8"},
        sanitize_html=False,
        resolve_relative_uris=False,
    )


def _sort_items(version: str, entries: list[dict[str, Any]]) -> ParsedFeed:
    believed: list[FeedItem] = []
    refused: list[RefusedItem] = []
    for entry in entries:
        item = _read_item(entry)
        if isinstance(item, FeedItem):
            believed.append(item)
        else:
            refused.append(item)
    return ParsedFeed(version, tuple(believed), tuple(refused))


def _read_item(entry: dict[str, Any]) -> FeedItem | RefusedItem:
    title = clean_text(_text(entry, "title"))
    date = _text(entry, "published") or _text(entry, "updated")
    link = _text(entry, "link")
    guid = clean_text(_text(entry, "id"))
    record = {"title": title, "date": date, "link": link, "guid": guid}
    if not title:
        return _refuse("no title", record)
    if len(title) > LONGEST_TITLE:
        return _refuse(f"title longer than {LONGEST_TITLE} characters", record)
    try:
        published_at = parse_published(date)
    except DateRefusedError as refusal:
        return _refuse(str(refusal), record)
    return FeedItem(
        title=title,
        summary=clean_text(_text(entry, "summary"))[:LONGEST_SUMMARY].rstrip() or None,
        url=link if _WEB_ADDRESS.fullmatch(link) else None,
        guid=guid or None,
        published_at=published_at,
    )


def _refuse(reason: str, record: dict[str, str]) -> RefusedItem:
    return RefusedItem(reason, {name: text[:LONGEST_TITLE] for name, text in record.items()})


def _text(entry: dict[str, Any], name: str) -> str:
    # dict.get, because FeedParserDict.get answers one date under another's name.
    value = dict.get(entry, name)
    return value if isinstance(value, str) else ""


def _beginning(body: bytes) -> str:
    return " ".join(body[:200].decode("utf-8", "replace").split())[:80]
