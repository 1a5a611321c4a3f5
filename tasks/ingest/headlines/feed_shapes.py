"""Shapes of feeds that need no feedparser: the elements that are known, and what each is for.

Tables of what is read, not of exceptions: a feed with an element that is not listed where it
stands is feedparser's. Tags are spelled as ElementTree spells them, `{namespace}name`.
"""

from __future__ import annotations

ATOM = "{http://www.w3.org/2005/Atom}"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
NAMESPACES = {
    "atom": ("http://www.w3.org/2005/Atom",),
    "content": ("http://purl.org/rss/1.0/modules/content/",),
    "dc": ("http://purl.org/dc/elements/1.1/",),
    "media": ("http://search.yahoo.com/mrss/", "http://search.yahoo.com/mrss"),
    "slash": ("http://purl.org/rss/1.0/modules/slash/",),
    "sy": ("http://purl.org/rss/1.0/modules/syndication/",),
    "thr": ("http://purl.org/rss/1.0/modules/threading/",),
    "wfw": ("http://wellformedweb.org/commentAPI/",),
}
"""Prefixes and what they stand for: feedparser goes by either, so they must go together."""
IGNORED = ("slash", "sy", "thr", "wfw")
"""Prefixes of which feedparser handles no element: it keeps a text under a name of its own."""

PREFIX_OF = {uri: prefix for prefix, uris in NAMESPACES.items() for uri in uris}
SETS_VERSION = "http://purl.org/rss/1.0/"
IGNORED_TAGS = tuple(f"{{{uri}}}" for prefix in IGNORED for uri in NAMESPACES[prefix])


def _named(prefix: str, *names: str) -> list[str]:
    return [f"{{{uri}}}{name}" for uri in NAMESPACES[prefix] for name in names]


# What an element is for. "free" ones may have any attribute but a base address.
RSS_TEXTS = {
    "title": "title",
    "description": "summary",
    "link": "link",
    "pubDate": "published",
    "pubdate": "published",
    **dict.fromkeys(_named("content", "encoded"), "content"),
    **dict.fromkeys(_named("dc", "date"), "updated"),
}
RSS_ITEM = {
    **dict.fromkeys(RSS_TEXTS, "text"),
    **dict.fromkeys(("author", "category", "comments", "enclosure"), "free"),
    "guid": "guid",
    "source": "source",
    **dict.fromkeys(_named("dc", "creator"), "free"),
    **dict.fromkeys(_named("media", "content", "thumbnail", "credit"), "free"),
    **dict.fromkeys(_named("media", "title"), "second title"),
}
RSS_CHANNEL = {
    "item": "item",
    "title": "title",
    "image": "image",
    **dict.fromkeys(("pubdate", "lastbuilddate"), "date"),
    **dict.fromkeys(("category", "copyright", "description", "docs", "generator"), "free"),
    **dict.fromkeys(("language", "link", "managingeditor", "ttl", "webmaster"), "free"),
    **dict.fromkeys(_named("atom", "link"), "free"),
    **dict.fromkeys(_named("dc", "creator", "language", "rights"), "free"),
    **dict.fromkeys(_named("dc", "date"), "date"),
}
IMAGE = frozenset(("description", "height", "link", "title", "url", "width"))
ATOM_ENTRY = {
    **dict.fromkeys(_named("atom", "title", "summary", "content"), "text"),
    **dict.fromkeys(_named("atom", "updated", "published"), "date"),
    **dict.fromkeys(_named("atom", "category"), "free"),
    **dict.fromkeys(_named("atom", "author"), "author"),
    **dict.fromkeys(_named("atom", "id"), "id"),
    **dict.fromkeys(_named("atom", "link"), "link"),
    **dict.fromkeys(_named("media", "content", "thumbnail", "credit"), "free"),
}
ATOM_FEED = {
    **dict.fromkeys(_named("atom", "entry"), "item"),
    **dict.fromkeys(_named("atom", "title"), "title"),
    **dict.fromkeys(_named("atom", "subtitle", "rights"), "text"),
    **dict.fromkeys(_named("atom", "updated"), "date"),
    **dict.fromkeys(_named("atom", "category", "icon", "id", "link", "logo"), "free"),
    **dict.fromkeys(_named("atom", "generator"), "free"),
    **dict.fromkeys(_named("atom", "author"), "author"),
}
PERSON = frozenset(_named("atom", "name", "uri", "email"))
TEXT_TYPES = frozenset(("text", "html", "text/plain", "text/html"))
PAGE_TYPES = frozenset(("html", "xhtml", "text/html", "application/xhtml+xml"))
VERSIONS = {"0.91": "rss091u", "0.92": "rss092", "0.93": "rss093", "0.94": "rss094"}
