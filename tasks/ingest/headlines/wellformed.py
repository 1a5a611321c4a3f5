"""Well-formed RSS and Atom of the usual shapes, read by expat into what feedparser makes of them.

feedparser runs some twenty Python calls for every element: nine tenths of the time that a feed
takes. Only shapes are read here for which `tests/ingest/headlines/test_wellformed.py` holds both
answers equal; any other document is feedparser's.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree

from tasks.ingest.headlines.feed_shapes import (
    ATOM,
    ATOM_ENTRY,
    ATOM_FEED,
    IGNORED_TAGS,
    IMAGE,
    NAMESPACES,
    PAGE_TYPES,
    PERSON,
    PREFIX_OF,
    RSS_CHANNEL,
    RSS_ITEM,
    RSS_TEXTS,
    SETS_VERSION,
    TEXT_TYPES,
    VERSIONS,
    XML_LANG,
)

Entries = tuple[str, dict[str, Any], list[dict[str, Any]]]
"""Version, the feed's own texts and those of its entries in order, all under feedparser's names."""

MOST_BYTES = 16 * 2**20
MOST_TAGS = 400_000
"""A tree takes some 200 bytes for an element, however deep: 80 MB at most."""

# feedparser reads a date as well, though the pipeline does so itself, and may fail on an odd one.
_USUAL_DATE = re.compile(
    r"\s*(?:[A-Za-z]{3}, \d{1,2} [A-Za-z]{3} \d{4} \d\d:\d\d(?::\d\d)? (?:[A-Z]{1,4}|[+-]\d{4})"
    r"|\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d))?)?\s*",
    re.ASCII,
)
_CP1252 = {
    code: bytes([code]).decode("cp1252")
    for code in range(0x80, 0xA0)
    if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


class _UnusualError(Exception):
    """The document is for feedparser."""


def read_wellformed(document: bytes) -> Entries | None:
    """The entries of a document in UTF-8, as feedparser would read it; None if it has to.

    Nothing but the bytes is read: a document with a DTD, and so with an entity, is not taken.
    """
    if not document.startswith(b"<?xml version='1.0' encoding='utf-8'?>") or _is_unusual(document):
        return None
    try:
        root = _tree(document)
        if root.tag == "rss":
            return _rss(root)
        if root.tag == f"{ATOM}feed":
            return _atom(root)
    except (ElementTree.ParseError, _UnusualError):
        pass
    return None


def _is_unusual(document: bytes) -> bool:
    """Whether it is too large, or has a declaration or an instruction after the first."""
    harmless = document.count(b"<![CDATA[") + document.count(b"<!--")
    return (
        len(document) > MOST_BYTES
        or document.count(b"<") > MOST_TAGS
        or document.count(b"<!") != harmless
        or document.count(b"<?") != 1
    )


def _tree(document: bytes) -> ElementTree.Element:
    reader = ElementTree.iterparse(io.BytesIO(document), ("start-ns",))  # noqa: S314 - no DTD gets here
    declared = dict.fromkeys(pair for _, pair in reader)
    root: ElementTree.Element = reader.root  # type: ignore[attr-defined]
    for prefix, uri in declared:
        usual = NAMESPACES.get(prefix)
        if prefix == "":
            known = uri == ATOM[1:-1] and root.tag == f"{ATOM}feed"
        elif usual is not None:
            known = uri in usual
        else:
            known = bool(uri) and uri not in PREFIX_OF and uri.lower() != SETS_VERSION
        if not known:
            raise _UnusualError
    return root


def _rss(root: ElementTree.Element) -> Entries:
    version = root.get("version", "")
    if not root.attrib.keys() <= {"version", XML_LANG} or len(root) != 1:
        raise _UnusualError
    [channel] = root
    if channel.tag != "channel" or channel.attrib:
        raise _UnusualError
    feed, entries = _walked(channel, RSS_CHANNEL, _rss_item, plain=("image", IMAGE))
    known = VERSIONS.get(version) or ("rss20" if version.startswith("2.") else "rss")
    return known, feed, entries


def _atom(root: ElementTree.Element) -> Entries:
    if not root.attrib.keys() <= {XML_LANG}:
        raise _UnusualError
    feed, entries = _walked(root, ATOM_FEED, _atom_entry, plain=("author", PERSON))
    return "atom10", feed, entries


def _walked(
    parent: ElementTree.Element,
    table: Mapping[str, str],
    entry: Callable[[ElementTree.Element], dict[str, Any]],
    *,
    plain: tuple[str, frozenset[str]],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The feed's own texts, and its entries in order. `plain`: a kind of which nothing is kept."""
    feed: dict[str, Any] = {}
    entries = []
    for child in parent:
        kind = _kind(table, child)
        if kind == "item":
            entries.append(entry(child))
        elif kind == plain[0]:
            _require_plain_children(child, plain[1])
        else:
            _feed_level(kind, child, feed)
    return feed, entries


def _feed_level(kind: str, child: ElementTree.Element, feed: dict[str, Any]) -> None:
    """An element beside the entries; only the title is kept."""
    if kind == "title":
        if "title" in feed:
            raise _UnusualError
        feed["title"] = _typed(child)
    elif kind == "date":
        _dated(child)
    elif kind == "text":
        _typed(child)
    else:
        _require_free(child)


def _rss_item(item: ElementTree.Element) -> dict[str, Any]:
    if item.attrib:
        raise _UnusualError
    found: dict[str, Any] = {}
    retitled = False
    for child in item:
        kind = _kind(RSS_ITEM, child)
        if kind == "text":
            _rss_text(child, found)
        elif kind == "guid":
            _guid(child, found)
        elif kind == "source":
            _require_free(child)
            title = _text(child)
            _put(found, "source", {"title": title} if title else {})
        else:
            _require_free(child)
            retitled = retitled or kind == "second title"
    # Beside an empty title, or one before a source, that of the picture counts.
    if retitled and (not found.get("title") or "source" in found):
        raise _UnusualError
    return _finished(found)


def _rss_text(child: ElementTree.Element, found: dict[str, Any]) -> None:
    if child.attrib:
        raise _UnusualError
    text = _text(child)
    name = RSS_TEXTS.get(child.tag) or RSS_TEXTS[child.tag.lower()]
    if name == "link":
        _require_plain_address(text)
    elif name in ("published", "updated"):
        _require_usual_date(text)
    _put(found, name, text)


def _guid(child: ElementTree.Element, found: dict[str, Any]) -> None:
    if not child.attrib.keys() <= {"isPermaLink"}:
        raise _UnusualError
    text = _text(child)
    _put(found, "id", text)
    if child.get("isPermaLink", "true") == "true":
        _require_plain_address(text)
        found.setdefault("fallback", text)


def _atom_entry(entry: ElementTree.Element) -> dict[str, Any]:
    if entry.attrib:
        raise _UnusualError
    found: dict[str, Any] = {}
    for child in entry:
        kind = _kind(ATOM_ENTRY, child)
        if kind == "text":
            _put(found, child.tag.removeprefix(ATOM), _typed(child))
        elif kind == "date":
            _put(found, child.tag.removeprefix(ATOM), _dated(child))
        elif kind == "id":
            text = _bare(child)
            _require_plain_address(text)
            _put(found, "id", text)
            found["fallback"] = text
        elif kind == "link":
            _atom_link(child, found)
        elif kind == "author":
            _require_plain_children(child, PERSON)
        else:
            _require_free(child)
    return _finished(found)


def _atom_link(child: ElementTree.Element, found: dict[str, Any]) -> None:
    """The last link to a page counts; its address is kept as it stands."""
    address = child.get("href")
    if address is None or not child.attrib.keys() <= {
        "href",
        "rel",
        "type",
        "title",
        "hreflang",
        "length",
    }:
        raise _UnusualError
    _require_plain_address(address)
    alternate = child.get("rel", "alternate").lower() == "alternate"
    if alternate and child.get("type", "text/html").lower() in PAGE_TYPES:
        found["link"] = address


def _finished(found: dict[str, Any]) -> dict[str, Any]:
    """The entry: a permanent id stands in for a link, the content for a summary."""
    fallback, content = found.pop("fallback", None), found.pop("content", None)
    if fallback is not None:
        found.setdefault("link", fallback)
    if content is not None:
        found.setdefault("summary", content)
    return found


def _kind(table: Mapping[str, str], element: ElementTree.Element) -> str:
    tag = element.tag
    kind = table.get(tag)
    if kind is None:
        if tag.startswith(IGNORED_TAGS):
            return "free"
        kind = None if tag.startswith("{") else table.get(tag.lower())
        if kind is None:
            raise _UnusualError
    return kind


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if name in found:  # which of two counts depends on more than their order
        raise _UnusualError
    found[name] = value


def _text(element: ElementTree.Element) -> str:
    """The text of an element without children, mended as feedparser does it."""
    if len(element):
        raise _UnusualError
    text = element.text
    if text is None:
        return ""
    text = text.strip()
    if text.isascii():
        return text
    # UTF-8 that was taken for Latin-1 and encoded again; then signs of Windows-1252.
    with suppress(UnicodeError):
        text = text.encode("iso-8859-1").decode("utf-8")
    return text.translate(_CP1252)


def _bare(element: ElementTree.Element) -> str:
    if element.attrib:
        raise _UnusualError
    return _text(element)


def _typed(element: ElementTree.Element) -> str:
    for name, value in element.items():
        if name != "type" or value.lower() not in TEXT_TYPES:
            raise _UnusualError
    return _text(element)


def _dated(element: ElementTree.Element) -> str:
    text = _bare(element)
    _require_usual_date(text)
    return text


def _require_usual_date(text: str) -> None:
    if _USUAL_DATE.fullmatch(text) is None:
        raise _UnusualError


def _require_plain_address(text: str) -> None:
    """Refuse one that feedparser rewrites: extra slashes, and what looks like an entity."""
    if ":///" in text or ("&" in text and ";" in text):
        raise _UnusualError


def _require_free(element: ElementTree.Element) -> None:
    if len(element) or any(name.lower().endswith("base") for name in element.attrib):
        raise _UnusualError


def _require_plain_children(element: ElementTree.Element, names: frozenset[str]) -> None:
    if element.attrib or any(
        child.tag not in names or child.attrib or len(child) for child in element
    ):
        raise _UnusualError
