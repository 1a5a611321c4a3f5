"""RSS 2.0 and Atom documents of the newswire. Every channel and item says it is synthetic."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.history import exchange_midnight
from sandbox.market import Market
from sandbox.newswire import SOURCE, NewsSpec, ticker_headlines

LATEST = 20
_MARK = "synthetic"
_RETELLINGS = ("Update: {}", "{} - report", "{}, sources say", "In brief: {}")


@dataclass(frozen=True)
class Item:
    """One headline as a feed tells it.

    `date_text` replaces the date a feed would print; empty, the item has none.
    """

    guid: str
    ticker: str
    title: str
    summary: str
    link: str
    published_at: datetime
    date_text: str | None = None


@dataclass(frozen=True)
class Stories:
    """Headlines of one ticker ascending by time, and that time in Unix seconds."""

    table: pa.Table
    published: np.ndarray


class Newsroom:
    """The headlines of a market, made on first use, one ticker at a time, and looked up by time."""

    def __init__(self, market: Market, news: NewsSpec | pa.Table) -> None:
        self._market = market
        self._news = news
        self._stories = functools.cache(self._load)

    def latest(self, tickers: Sequence[str], now: int, most: int = LATEST) -> list[Item]:
        """The newest `most` items published by `now` (Unix seconds), newest first."""
        return self._newest(
            item
            for ticker in tickers
            for item in self._items_of(self._stories(ticker), 0, now + 1, most)
        )[:most]

    def general(self, now: int, most: int = 50) -> list[Item]:
        """The newest items of the whole market around the last three sessions, newest first."""
        found: list[Item] = []
        for ticker in self._market.tickers:
            ended = self._market.history(ticker).listing.ended
            over = ended is not None and exchange_midnight(ended) <= now
            if over or not self._market.trades(ticker, now):
                continue
            row = int(np.searchsorted(self._market.history(ticker).opens_at, now))
            recent = self._load(ticker, slice(max(0, row - 2), row + 1))
            found += self._items_of(recent, 0, now + 1, most)
        return self._newest(found)[:most]

    def between(self, tickers: Sequence[str], start: int, end: int, now: int) -> list[Item]:
        """All items published in [start, end) and by `now` (Unix seconds), newest first."""
        stop = min(end, now + 1)
        return self._newest(
            item
            for ticker in tickers
            for item in self._items_of(self._stories(ticker), start, stop)
        )

    @staticmethod
    def _newest(items: Iterable[Item]) -> list[Item]:
        return sorted(items, key=lambda item: (item.published_at, item.guid), reverse=True)

    @staticmethod
    def _items_of(stories: Stories, start: int, end: int, most: int | None = None) -> list[Item]:
        """Those published in [start, end); only the last `most` of them, if given."""
        first, stop = (int(row) for row in np.searchsorted(stories.published, (start, end)))
        first = first if most is None else max(first, stop - most)
        return [Item(**row) for row in stories.table.slice(first, stop - first).to_pylist()]

    def _load(self, ticker: str, sessions: slice = slice(None)) -> Stories:
        """Headlines of one ticker while it traded under that symbol."""
        history = self._market.history(ticker)
        if isinstance(self._news, NewsSpec):
            table = ticker_headlines(history, self._news, sessions)
        else:
            table = self._news.filter(pc.equal(self._news["ticker"], ticker))
            table = table.sort_by("published_at")
        published = table["published_at"].cast(pa.int64()).to_numpy() // 1_000_000
        first, stop = np.searchsorted(published, history.listing.trading_window)
        return Stories(table.slice(first, stop - first), published[first:stop])


def rss(title: str, link: str, items: Sequence[Item]) -> str:
    """An RSS 2.0 document."""
    entries = "".join(
        f"<item><title>{escape(item.title)}</title><link>{escape(item.link)}</link>"
        f'<guid isPermaLink="false">{escape(item.guid)}</guid>'
        f"{_element('pubDate', _date(item, http_date))}"
        f"<description>{escape(item.summary)}</description>"
        f"<dc:creator>{SOURCE}</dc:creator><category>{_MARK}</category></item>\n"
        for item in items
    )
    built = f"<lastBuildDate>{http_date(items[0].published_at)}</lastBuildDate>" if items else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>'
        f"<title>{escape(title)} - {SOURCE}</title><link>{escape(link)}</link>"
        f"<description>Made-up headlines for tests and demonstrations; not news.</description>"
        f"<generator>{SOURCE}</generator><category>{_MARK}</category>{built}\n"
        f"{entries}</channel></rss>\n"
    )


def atom(title: str, link: str, items: Sequence[Item]) -> str:
    """An Atom 1.0 document. Its stories have identities of their own (tag URIs), some new words."""
    entries = "".join(
        f"<entry><id>tag:www.sandbox.example,2000:{escape(item.guid)}</id>"
        f"<title>{escape(_near_duplicate(item))}</title>"
        f'<link href="{escape(item.link, {chr(34): "&quot;"})}?ref=atom"/>'
        f"{_element('published', _date(item, _rfc3339))}"
        f"{_element('updated', _date(item, _rfc3339))}"
        f"<author><name>{SOURCE}</name></author>"
        f'<category term="{_MARK}"/><summary>{escape(item.summary)}</summary></entry>\n'
        for item in items
    )
    updated = _rfc3339(items[0].published_at) if items else "2000-01-01T00:00:00Z"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<feed xmlns="http://www.w3.org/2005/Atom">'
        f"<id>{escape(link)}</id><title>{escape(title)} - {SOURCE}</title>"
        f"<subtitle>Made-up headlines for tests and demonstrations; not news.</subtitle>"
        f'<link href="{escape(link)}"/><updated>{updated}</updated>'
        f'<author><name>{SOURCE}</name></author><category term="{_MARK}"/>\n'
        f"{entries}</feed>\n"
    )


def _near_duplicate(item: Item) -> str:
    """The title as another publisher runs it: every fifth a near duplicate, the rest the same."""
    checksum = zlib.crc32(item.guid.encode())
    return item.title if checksum % 5 else _RETELLINGS[checksum % 4].format(item.title)


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text else ""


def _date(item: Item, form: Callable[[datetime], str]) -> str:
    return form(item.published_at) if item.date_text is None else item.date_text


def http_date(moment: datetime) -> str:
    """`Mon, 02 Jan 2012 03:04:05 GMT`: the form of RSS dates and HTTP validators alike."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
