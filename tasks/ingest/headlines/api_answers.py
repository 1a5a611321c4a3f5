"""Answers of JSON news APIs: bytes to items, each usable or refused, and errors in words."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from tasks.ingest.headlines.api_spec import ApiSpec, TimeFormat, names_of, value_at
from tasks.ingest.headlines.dates import EARLIEST, DateRefusedError, parse_published
from tasks.ingest.headlines.documents import described
from tasks.ingest.headlines.parsing import (
    FeedItem,
    FeedParseError,
    ParsedFeed,
    RefusedItem,
    read_entry,
    refuse,
)
from tasks.ingest.symbols import SYMBOL
from tasks.ingest.unreadable import in_one_line

_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|(?=.)|\Z)', re.DOTALL)
_NEXT_MEMBER = re.compile(r"\}\s*,\s*(?=\{)")
_BLANKS = re.compile(r"[\s,]*")
_SHORT = 4_096
"""Bytes. What speaks of limits is short; a longer answer is not read twice."""
_BUSY = re.compile(
    r"(?i)rate.?limit|too many requests|limit requests|(api|request|call)s? limit|"
    r"call frequency|throttl|slow down"
)
_GOOD = re.compile(r"(?i)\s*(ok|success\w*|none|null|no errors?|0)[.!]?\s*")
_BAD_STATUS = re.compile(r"(?i)\s*(error|fail|not.?auth|unauth|forbidden|denied|invalid)")
_WRITTEN = {
    "iso": re.compile(r"\d{4}-\d\d-\d\d([T ].*)?"),
    "compact": re.compile(r"\d{8}(T?\d{4}(\d\d)?.*)?"),
    "rfc2822": re.compile(r"([A-Za-z]{3},\s*)?\d{1,2}\s+[A-Za-z]{3}\s+\d{2,4}\b.*"),
}
_EPOCH = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_SECONDS_END = 10**10
DAY_IS_OVER = timedelta(hours=36)
"""From the first instant of a day (UTC) until it is over everywhere on earth."""
_EXPECTED = {"published": "a time", "updated": "a time", "id": "a text or a number"}
_RECORDED = {"title": "title", "date": "published", "link": "link", "guid": "id"}
_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}


class _WrongTypeError(ValueError):
    """A field of an item holds what it cannot be made of."""


def parse_answer(body: bytes, api: ApiSpec, zone: tzinfo | None = None) -> ParsedFeed:
    """Read the items of one answer; `zone` is that of times that name none.

    `following` of the result is what the answer says of the next page. Members of its list that
    are no JSON spoil themselves only; where the list breaks off, the result is `cut`. Raises
    FeedParseError for what is no JSON, has no list of items, or says that it is an error.
    """
    try:
        return _parsed(body, api, zone)
    except FeedParseError:
        raise
    except Exception as error:  # hostile answers nest deeper than anyone can follow
        raise FeedParseError(f"The answer broke the parser ({in_one_line(error)}).") from error


def _parsed(body: bytes, api: ApiSpec, zone: tzinfo | None) -> ParsedFeed:
    given, broken, cut = _document(body, api)
    if words := _complaint(given, api):
        raise FeedParseError(f"The API answered an error: {words}")
    names = names_of(api.items)
    strayed = isinstance(given, list) and names and not names[0].isdigit()
    listed = None if strayed else value_at(given, api.items)
    if listed is None and not _is_empty(given, api):
        raise FeedParseError(
            f"The answer has no list at {'.'.join(names) or 'its top'!r}: it is "
            f"{_in_short(given)}. Correct `items` of the feed, or ask later."
        )
    if not isinstance(listed or [], list):
        raise FeedParseError(
            f"The answer has {_kind(listed)} at {'.'.join(names) or 'its top'!r}; "
            "expected the list of items."
        )
    read = [_read_item(member, api, zone) for member in listed or []]
    refused = [one for one in read if isinstance(one, RefusedItem)]
    refused += [refuse("item is no JSON", {"text": text}) for text in broken]
    following = value_at(given, api.paging.next) if api.paging.next else None
    usable = tuple(one for one in read if isinstance(one, FeedItem))
    return ParsedFeed("json", usable, tuple(refused), cut, following)


def busy_words(body: bytes, api: ApiSpec) -> str | None:
    """The words in which an answer with status 200 says that it came too soon, if it does."""
    if len(body) > _SHORT:
        return None
    text = body.decode("utf-8-sig", "replace").strip()
    try:
        words = _complaint(json.loads(text), api) or ""
    except (ValueError, RecursionError):
        # Damaged JSON may hold news of limits.
        words = "" if text.startswith(("{", "[")) else text
    return " ".join(words.split())[:200] if _BUSY.search(words) else None


def _document(body: bytes, api: ApiSpec) -> tuple[Any, list[str], bool]:
    """The answer, the members of its list that are no JSON, and whether it breaks off."""
    text = body.decode("utf-8-sig", "replace").strip()
    if not text.startswith(("{", "[")):
        what = described(text) if text else "empty"
        raise FeedParseError(f"The answer is no JSON: it is {what}.")
    if api.lenient:
        text = _ESCAPE.sub(lambda found: found[0] if found[1] else "", text)
    try:
        return json.loads(text, strict=not api.lenient), [], False
    except (ValueError, RecursionError) as error:
        names = names_of(api.items)
        pattern = rf'"{re.escape(names[-1])}"\s*:\s*\[' if names else r"\["
        start = re.search(pattern, text)
        members, broken, cut = _members(text, start.end() if start else len(text), api)
        if start is None or not (members or broken):
            raise FeedParseError(f"The answer is damaged JSON: {error}.") from error
        given: Any = members
        for name in reversed(names):
            given = {name: given}
        # What stands beside the list, the way to the next page for one, is lost.
        return given, broken, cut or api.paging.next is not None


def _members(text: str, at: int, api: ApiSpec) -> tuple[list[Any], list[str], bool]:
    """The members of a list that can be read one by one, those that cannot, and whether it ends."""
    decoder = json.JSONDecoder(strict=not api.lenient)
    members: list[Any] = []
    broken: list[str] = []
    while True:
        at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
        if text.startswith("]", at):
            return members, broken, False
        try:
            member, at = decoder.raw_decode(text, at)
            members.append(member)
        except (ValueError, RecursionError):
            further = _NEXT_MEMBER.search(text, at)
            if further is None:
                return members, broken, True
            broken.append(text[at : further.start() + 1])
            at = further.end()


def _is_empty(given: Any, api: ApiSpec) -> bool:
    """Whether an answer without a list says that there are no items."""
    names = names_of(api.items)
    if given == {} or not names:
        return bool(given == {} and api.empty_object)
    around = value_at(given, names[:-1])
    return isinstance(around, dict) and names[-1] in around


def _complaint(given: Any, api: ApiSpec) -> str | None:
    """What an answer says that went wrong."""
    if not isinstance(given, dict):
        return None
    for path in api.errors:
        found = value_at(given, path)
        if found and not (isinstance(found, str) and _GOOD.fullmatch(found)):
            return _in_short(found)
    status = given.get("status")
    if isinstance(status, str) and _BAD_STATUS.match(status):
        return _in_short(given)
    if any(given.get(name) is False for name in ("success", "ok")):
        return _in_short(given)
    return None


def _in_short(given: Any) -> str:
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return " ".join(text.encode("utf-8", "replace").decode().split())[:200]


def _read_item(member: Any, api: ApiSpec, zone: tzinfo | None) -> FeedItem | RefusedItem:
    if not isinstance(member, dict):
        return refuse(f"item is {_kind(member)}, expected an object", {"text": _in_short(member)})
    paths = {name: path for name, path in api.fields if path is not None}
    found = {name: value_at(member, path) for name, path in paths.items()}
    record = {ours: _in_short(found.get(theirs) or "") for ours, theirs in _RECORDED.items()}
    try:
        tickers = _symbols(found.pop("tickers", None))
        texts = {name: _text(name, value, api.times) for name, value in found.items()}
        updated_at = _updated(texts.get("updated"), zone)
    except (_WrongTypeError, DateRefusedError) as refusal:
        return refuse(str(refusal), record)
    item = read_entry(texts | {"source": {"title": texts.get("publisher", "")}}, zone)
    if isinstance(item, RefusedItem):
        return item
    return replace(item, tickers=tickers, updated_at=updated_at)


def _text(name: str, value: Any, times: TimeFormat) -> str:
    """A field as feeds have it. Raises _WrongTypeError and DateRefusedError."""
    if value is None or (name == "updated" and value in (0, "0")):
        return ""
    if name in ("published", "updated"):
        return _time(name, value, times)
    if isinstance(value, str):
        return value
    if name == "id" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _WrongTypeError(f"{name} is {_kind(value)}, expected {_EXPECTED.get(name, 'a text')}")


def _time(name: str, value: Any, times: TimeFormat) -> str:
    """A time as text that `parse_published` reads as what it is declared to be."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number and not isinstance(value, str):
        raise _WrongTypeError(f"{name} is {_kind(value)}, expected a time")
    if times in ("epoch", "epoch_ms") or (number and times == "detect"):
        return _since_1970(value, times) if value != "" else ""
    if number or not (times == "detect" or value == "" or _WRITTEN[times].fullmatch(value.strip())):
        raise DateRefusedError(f"{name} is not written as {times}")
    return str(value)


def _since_1970(value: Any, times: TimeFormat) -> str:
    if isinstance(value, str) and not _EPOCH.fullmatch(value.strip()):
        raise DateRefusedError("date is not a number")
    try:
        seconds = float(value)
    except OverflowError as error:
        raise DateRefusedError("date impossible") from error
    if not math.isfinite(seconds):
        raise DateRefusedError("date impossible")
    if times == "detect":
        return f"{seconds:.0f}"
    seconds //= 1000 if times == "epoch_ms" else 1
    if seconds < EARLIEST.timestamp():
        raise DateRefusedError(f"published before {EARLIEST:%Y}")
    if seconds >= _SECONDS_END:
        raise DateRefusedError("date impossible")
    return f"{seconds:.0f}"


def _updated(text: str | None, zone: tzinfo | None) -> datetime | None:
    """When the present wording is from; of a day, when that is over."""
    if not text:
        return None
    try:
        stamp = parse_published(text, zone)
        return stamp.at + DAY_IS_OVER if stamp.granularity == "day" else stamp.at
    except DateRefusedError as refusal:
        raise DateRefusedError(f"updated: {refusal}") from refusal
    except OverflowError as error:
        raise DateRefusedError("updated: date impossible") from error


def _symbols(value: Any) -> tuple[str, ...]:
    """The symbols that a vendor lists; names that can be none of a share are left out."""
    if value is None:
        return ()
    if isinstance(value, str):
        names = re.split(r"[,;|\s]+", value)
    elif isinstance(value, list):
        names = [name for member in value for name in _names(member)]
    else:
        raise _WrongTypeError(f"tickers are {_kind(value)}, expected a list")
    return tuple(dict.fromkeys(name for name in names if SYMBOL.fullmatch(name)))


def _names(member: Any) -> tuple[str, ...]:
    if isinstance(member, dict):
        named = (member.get(key) for key in ("ticker", "symbol", "name"))
        member = next((name for name in named if isinstance(name, str)), None)
    if member is None or isinstance(member, str | list):
        return _symbols([*member] if isinstance(member, list) else member)
    raise _WrongTypeError(f"tickers hold {_kind(member)}, expected symbols")


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "an object" if isinstance(value, dict) else "null")
