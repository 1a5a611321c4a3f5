"""Documents as servers send them: whole or cut off, a feed, a JSON Feed, a placeholder or a page.

A document that ends early keeps the items before its end; the one in which it ends is not used,
because its words may go on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_ROOT = re.compile(rb"<(?P<name>[A-Za-z_][\w.-]*(?::[\w.-]+)?)(?=[\s>/])")
_PROLOGUE = re.compile(rb"<!--.*?-->|<\?.*?\?>|<![A-Za-z][^>\[]*(?:\[.*?\])?\s*>", re.DOTALL)
_ITEM = re.compile(rb"<(?P<end>/)?(?:[\w.-]+:)?(?:item|entry)(?=[\s>])[^>]*>?", re.IGNORECASE)
_HTML = re.compile(r"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.DOTALL)
_PAGE_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*>")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_FEW = 4
_JSON_ITEMS = re.compile(r'"items"\s*:\s*\[')
_JSON_FEED = "https://jsonfeed.org/version/"

_PLACEHOLDER = re.compile(
    r"""(?:[\w.!' -]{0,40}[:|-]\s*)?                 # a publisher before it
    (?:
        (?:the\s)?(?:rss\s)?(?:feed|page|file|resource)\s(?:is\s|was\s|could\snot\sbe\s)?
            (?:not\s)?(?:found|available|unavailable|disabled|no\slonger\s\w+)
      | (?:http\s)?(?:status\s|error\s)*[45]\d\d(?:\s*[:-]?\s*(?:error|not\sfound|forbidden|
            unauthorized|bad\sgateway|service\sunavailable|too\smany\srequests|
            internal\sserver\serror|gateway\stime-?out))?
      | access\s(?:is\s)?(?:denied|forbidden) | forbidden | unauthorized | not\sfound
      | too\smany\srequests | rate\slimit(?:ed)?(?:\sexceeded)?
      | (?:an?\s|internal\s|server\s|service\s|temporary\s)*error(?:\s(?:occurred|page))?
      | (?:service|server|site|website)\s(?:is\s)?(?:temporarily\s)?unavailable
      | invalid\s(?:feed|symbol|ticker|request|url) | unknown\s(?:feed|symbol|ticker)
    )[.!\s]*""",
    re.IGNORECASE | re.VERBOSE,
)


def whole_part(document: bytes) -> tuple[bytes, bool]:
    """The document up to its last whole item, and whether it ends early; a whole one as it is.

    It ends early when its root element is never closed. Works on any encoding in which ASCII
    stands for itself; a document in another passes as it is.
    """
    root = _ROOT.search(document, _prologue_end(document))
    if root is None or root["name"].lower() == b"html":
        return document, False
    tag_end = document.find(b">", root.end())
    if tag_end > 0 and document[tag_end - 1 : tag_end] == b"/":
        return document, False
    tags = list(_ITEM.finditer(document))
    begun = max((tag.start() for tag in tags if not tag["end"]), default=0)
    closing = re.compile(rb"</" + re.escape(root["name"]) + rb"(?:[\s>]|$)", re.IGNORECASE)
    if any(found.start() >= begun for found in closing.finditer(document)):
        return document, False
    ended = [tag.end() for tag in tags if tag["end"] and tag[0].endswith(b">")]
    first = min((tag.start() for tag in tags), default=len(document))
    return document[: max(ended, default=first)], True


DAMAGE = "\ufffd"
"""The character that stands for bytes which are none."""


def with_damage_marked(document: bytes) -> bytes:
    """The document, with DAMAGE in place of what is broken in text that is UTF-8 for the rest.

    Else the guess of its encoding goes by the broken bytes, and every other word of it is misread.
    A document in another encoding passes as it is.
    """
    try:
        document.decode("utf-8")
    except UnicodeDecodeError:
        marked = document.decode("utf-8", "replace")
        damaged = marked.count(DAMAGE)
        foreign = sum(map(len, _FOREIGN.findall(marked))) - damaged
        if damaged <= _FEW and damaged < foreign:
            return marked.encode()
    return document


def _prologue_end(document: bytes) -> int:
    """Where declarations and comments before the root end."""
    at = 0
    while found := _PROLOGUE.match(document, at + _blanks(document, at)):
        at = found.end()
    return at


def _blanks(document: bytes, at: int) -> int:
    rest = document[at : at + 1_000]
    return len(rest) - len(rest.lstrip(b"\xef\xbb\xbf \t\r\n"))


def json_feed(body: bytes) -> tuple[str, list[dict[str, Any]], bool] | None:
    """A JSON Feed as version, entries under feedparser's names, and whether it ends early.

    None: the body is no JSON Feed (https://jsonfeed.org/version/1.1). Items before the cut of one
    that ends early are kept.
    """
    text = body.decode("utf-8-sig", "replace").strip()
    if not text.startswith("{"):
        return None
    try:
        document = json.loads(text)
        version, items, cut = document.get("version"), document.get("items"), False
    except ValueError:
        found = re.search(r'"version"\s*:\s*"([^"]*)"', text)
        version, items, cut = found[1] if found else "", _whole_items(text), True
    if not isinstance(version, str) or not version.startswith(_JSON_FEED):
        return None
    usable = [item for item in items or () if isinstance(item, dict)]
    return f"json{version.removeprefix(_JSON_FEED)}", [_entry(item) for item in usable], cut


def _whole_items(text: str) -> list[Any]:
    """The items of a JSON document that can be read before it breaks off."""
    start, items = _JSON_ITEMS.search(text), []
    decoder, at = json.JSONDecoder(), start.end() if start else len(text)
    while at < len(text):
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
        try:
            item, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        items.append(item)
    return items


def _entry(item: dict[str, Any]) -> dict[str, Any]:
    named = {
        "title": item.get("title"),
        "published": item.get("date_published"),
        "updated": item.get("date_modified"),
        "link": item.get("url") or item.get("external_url"),
        "id": item.get("id"),
        "summary": item.get("summary") or item.get("content_text") or item.get("content_html"),
    }
    # Version 1 let numbers stand for ids.
    return {name: str(value) for name, value in named.items() if isinstance(value, str | int)}


MOST_PLACEHOLDERS = 2
"""A feed of more items than this has some of its own."""


def placeholder(feed_title: str, titles: Iterable[str]) -> str | None:
    """The words in which a feed says that it has none, if its title or all its titles do."""
    if _PLACEHOLDER.fullmatch(feed_title):
        return feed_title
    known = list(titles)
    if (
        known
        and len(known) <= MOST_PLACEHOLDERS
        and all(_PLACEHOLDER.fullmatch(title) for title in known)
    ):
        return known[0]
    return None


def described(text: str) -> str:
    """What a document is that is no feed, and how it begins: the end of an error sentence."""
    text = _DECLARATION.sub("", text, count=1).strip("\ufeff \t\r\n")
    beginning = " ".join(text[:400].split())[:80]
    if _HTML.match(text):
        title = _PAGE_TITLE.search(text)
        named = " ".join(title[1].split())[:120] if title else ""
        page = f"an HTML page titled {named!r}" if named else "an HTML page without a title"
        return f"{page}, beginning {beginning!r}"
    if text.startswith(("{", "[")):
        return f"JSON but no JSON Feed, beginning {beginning!r}"
    return f"something that begins {beginning!r}"
