"""Answers spoiled in their structure: values that do not belong there, and nesting without end."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

DEEP = 100_000
HOSTILE: dict[str, Any] = {
    "huge": 10**30,
    "huger": 10**400,
    "negative": -(10**18),
    "in milliseconds": 1_361_197_800_000,
    "fraction": 1e308,
    "NaN": float("nan"),
    "infinite": float("inf"),
    "true": True,
    "null": None,
    "empty text": "",
    "text": "n/a",
    "surrogate": "\ud800",
    "NUL": "\x00",
    "list": [],
    "nested list": [[[]]],
    "object": {},
    "object of objects": {"a": {"b": None}},
}
TEXTS = (b"", b"null", b"[]", b"0", b'"x"', b"{}", b"\xff\xfe", b'{"chart":', b"NaN")
XML_TEXTS = ("", "&#xd800;", "&#0;", "\x00", "1361284200000", "9" * 400, "NaN", "-", "&x;", "]]>")


def nodes(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every node of a document is; of a list, the first, second and last element."""
    yield path
    if isinstance(node, dict):
        for key, child in node.items():
            yield from nodes(child, (*path, key))
    elif isinstance(node, list):
        for at in sorted({0, 1, len(node) - 1} & set(range(len(node)))):
            yield from nodes(node[at], (*path, at))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of the document with another value at one place; the value alone at its root."""
    if not path:
        return value
    changed = copy.deepcopy(document)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return changed


def spoiled(body: bytes) -> Iterator[tuple[str, bytes]]:
    """A JSON answer with one node replaced by what does not belong there, or gone too deep."""
    document = json.loads(body)
    for path in nodes(document):
        where = ".".join(map(str, path)) or "root"
        for name, value in HOSTILE.items():
            yield f"{where}: {name}", json.dumps(replaced(document, path, value)).encode()
        marked = json.dumps(replaced(document, path, "@")).encode()
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            deep = opening * DEEP + b"0" + closing * DEEP
            yield f"{where}: nested", marked.replace(b'"@"', deep)
    for text in TEXTS:
        yield f"text {text!r}", text


def spoiled_whole(body: bytes) -> Iterator[tuple[str, bytes]]:
    """A chart in which a whole column is in another unit, or of another kind."""
    document = json.loads(body)
    result = ("chart", "result", 0)
    stamps = document["chart"]["result"][0]["timestamp"]
    quote = (*result, "indicators", "quote", 0)
    columns = {
        "stamps in milliseconds": ((*result, "timestamp"), [stamp * 1_000 for stamp in stamps]),
        "stamps in nanoseconds": ((*result, "timestamp"), [stamp * 10**9 for stamp in stamps]),
        "stamps as texts": ((*result, "timestamp"), list(map(str, stamps))),
        "volumes of 10**30": ((*quote, "volume"), [10**30] * len(stamps)),
        "prices of 10**400": ((*quote, "close"), [10**400] * len(stamps)),
        "one bar too many": ((*quote, "close"), [1.0] * (len(stamps) + 1)),
        "nested columns": (quote, {"open": [[1.0]], "close": {"a": 1}}),
    }
    for name, (path, value) in columns.items():
        yield name, json.dumps(replaced(document, path, value)).encode()


def spoiled_xml(body: bytes) -> Iterator[tuple[str, bytes]]:
    """An XML feed with one kind of element filled, renamed, gone, doubled, or nested too deep."""
    for name in sorted(set(re.findall(rb"<([a-zA-Z][\w:.-]*)", body))):
        tag, own = name.decode(), (b"<%b>" % name, b"</%b>" % name)
        whole = re.compile(rb"<%b\b[^>]*>(.*?)</%b>" % (name, name), re.DOTALL)
        for text in XML_TEXTS:
            filled = own[0] + text.encode() + own[1]
            yield f"{tag}: {text[:20]!r}", whole.sub(lambda _, to=filled: to, body)  # type: ignore[misc]
        for opening, closing in ((b"<b>", b"</b>"), (b"&lt;b&gt;", b"&lt;/b&gt;"), own):
            deep = own[0] + opening * (DEEP // 20) + closing * (DEEP // 20) + own[1]
            yield f"{tag}: nested", whole.sub(lambda _, to=deep: to, body, count=1)  # type: ignore[misc]
        yield f"{tag}: renamed", re.sub(rb"(</?)%b\b" % name, rb"\1x", body)
        yield f"{tag}: gone", whole.sub(b"", body)
        yield (
            f"{tag}: repeated attributes",
            body.replace(b"<" + name, b"<" + name + b' a="1"' * 2, 1),
        )
    for text in TEXTS:
        yield f"text {text!r}", text


def half_characters(document: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """A JSON Feed with half a character in each text of its first item."""
    for name, text in document["items"][0].items():
        half = replaced(document, ("items", 0, name), f"{text}\ud800")
        yield f"{name}: half a character", json.dumps(half).encode()
