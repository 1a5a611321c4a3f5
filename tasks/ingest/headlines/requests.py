"""Requests of feeds: the addresses for tickers and dates, and the request of an address."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import quote, unquote

from tasks.ingest.headlines.api_spec import instant_of, instant_text
from tasks.ingest.headlines.feeds import PLACEHOLDER, FeedSpec

_ONE_DAY = timedelta(days=1)
_ONE_SECOND = timedelta(seconds=1)
_SMALLEST_PART = timedelta(minutes=15)
_PAGE = re.compile(r"#page=(\d+)")

GENERAL = "*"
"""The ledger key of a feed that is not requested per ticker."""


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """One address to fetch; `key` is its ticker or GENERAL, the dates are inclusive.

    `url` is what is kept and shown of the address, `address` what is fetched: secrets are in it,
    or references to them. `window`: first and last second (UTC) of a part of a single day. `page`
    counts the pages of one answer from 1; `query` are the parameters that a further one needs.
    """

    key: str
    url: str
    range_start: date
    range_end: date
    address: str = field(default="", repr=False, compare=False)
    window: tuple[datetime, datetime] | None = None
    page: int = 1
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)


def feed_requests(
    feed: FeedSpec, tickers: Sequence[str], start: date, end: date
) -> tuple[FeedRequest, ...]:
    """The requests for `tickers` over the inclusive dates, in ticker order, then by date.

    Raises ValueError when `start` is after `end`.
    """
    if start > end:
        raise ValueError(f"start {start} is after end {end}; give the earlier date first.")
    keys = sorted(set(tickers)) if feed.scope == "ticker" else [GENERAL]
    periods = list(_periods(feed, start, end))
    return tuple(_request(feed, key, first, last) for key in keys for first, last in periods)


def halves(feed: FeedSpec, request: FeedRequest) -> tuple[FeedRequest, ...]:
    """The two halves of a search's range; none when it is as small as can be, or no search's.

    That is a single day, or a quarter of an hour (or the grain) of a feed whose address holds
    instants.
    """
    first, last = request.range_start, request.range_end
    if feed.mode == "poll":
        return ()
    if first == last:
        return _parts_of_day(feed, request)
    middle = first + (last - first) // 2
    return tuple(
        _request(feed, request.key, begin, end)
        for begin, end in ((first, middle), (middle + _ONE_DAY, last))
    )


def request_of(feed: FeedSpec, url: str, fetched_on: date) -> FeedRequest | None:
    """The request that `url` must have come from; None when it does not fit the feed's address.

    A poll's range is the day of the fetch, which its address does not hold.
    """
    named: set[str] = set()
    pattern = ""
    for place, part in enumerate(PLACEHOLDER.split(feed.shown_url)):
        if place % 2 == 0:
            pattern += re.escape(part)
        else:
            pattern += f"(?P={part})" if part in named else f"(?P<{part}>[^&/#]+?)"
            named.add(part)
    match = re.fullmatch(rf"{pattern}(?:{_PAGE.pattern})?", url)
    if match is None:
        return None
    found, page = match.groupdict(), int(match[match.re.groups] or 1)
    key = unquote(found.get("ticker", GENERAL))
    key = next((ours for ours, theirs in feed.symbols.items() if theirs == key), key)
    if feed.mode == "poll":
        return FeedRequest(key, url, fetched_on, fetched_on, page=page)
    try:
        since, until = _range_of(feed, found)
    except (ValueError, OverflowError):
        return None
    whole = since.time() == time() and (until + _ONE_SECOND).time() == time()
    window = None if whole else (since, until)
    return FeedRequest(key, url, since.date(), until.date(), window=window, page=page)


def _range_of(feed: FeedSpec, found: dict[str, str]) -> tuple[datetime, datetime]:
    """The first and last second (UTC) of the range in an address. Raises ValueError."""
    written = feed.api.instants if feed.api else "iso"

    def moment(name: str) -> datetime:
        text = unquote(found[name])
        if name in ("start", "end", "last"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        return instant_of(text, written)

    since = moment("since" if "since" in found else "start")
    for name, further in {
        "until": timedelta(0), "before": -_ONE_SECOND, "end": -_ONE_SECOND,
        "last": _ONE_DAY - _ONE_SECOND,
    }.items():  # fmt: skip
        if name in found:
            return since, moment(name) + further
    raise ValueError("no end")


def _parts_of_day(feed: FeedSpec, request: FeedRequest) -> tuple[FeedRequest, ...]:
    if not feed.asks_instants:
        return ()
    grain = max(feed.grain, _SMALLEST_PART)
    since, until = request.window or _seconds(request.range_start, request.range_end)
    middle = since + (until + _ONE_SECOND - since) // grain // 2 * grain
    if middle == since:
        return ()
    return tuple(
        _request(feed, request.key, request.range_start, request.range_end, window)
        for window in ((since, middle - _ONE_SECOND), (middle, until))
    )


def _seconds(first: date, last: date) -> tuple[datetime, datetime]:
    """The first and the last second (UTC) of inclusive days."""
    midnight, after = (datetime.combine(day, time(), UTC) for day in (first, last + _ONE_DAY))
    return midnight, after - _ONE_SECOND


def _periods(feed: FeedSpec, start: date, end: date) -> Iterator[tuple[date, date]]:
    """Calendar-aligned periods, so that overlapping backfills ask for the same ranges again."""
    first = start
    while first <= end:
        whole = feed.mode == "poll" or feed.edgar is not None
        last = end if whole else min(end, _period_end(feed.chunk, first))
        yield first, last
        first = last + _ONE_DAY


def _period_end(length: str, day: date) -> date:
    if length == "day":
        return day
    if length == "year":
        return date(day.year, 12, 31)
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - _ONE_DAY


def _request(
    feed: FeedSpec,
    key: str,
    first: date,
    last: date,
    window: tuple[datetime, datetime] | None = None,
) -> FeedRequest:
    begins = first - _ONE_DAY if feed.mode == "poll" else first
    since, until = window or _seconds(begins, last)
    written = feed.api.instants if feed.api else "iso"
    values = {
        "ticker": feed.symbols.get(key, key),
        "query": feed.query or "",
        "start": begins.isoformat(),
        "last": last.isoformat(),
        "end": (last + _ONE_DAY).isoformat(),
        "since": instant_text(since, written),
        "until": instant_text(until, written),
        "before": instant_text(until + _ONE_SECOND, written),
    }
    # Hidden before it is filled in: a ticker is no secret, whatever the parameter is called.
    shown, address = (_filled(url, values) for url in (feed.shown_url, feed.url))
    return FeedRequest(key, shown, first, last, address, window)


def _filled(url: str, values: dict[str, str]) -> str:
    # EDGAR's own number of a company is filled in by who looks it up.
    return PLACEHOLDER.sub(
        lambda match: quote(values[match[1]], safe="") if match[1] in values else match[0], url
    )
