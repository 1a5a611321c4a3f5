"""RSS 2.0 and Atom documents of the newswire. Every channel and item says it is synthetic."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.market import Market
from sandbox.newswire import SOURCE, NewsSpec, ticker_headlines

LATEST = 20
_MARK = "synthetic"


@dataclass(frozen=True)
class Item:
    """One headline as a feed tells it."""

    guid: str
    ticker: str
    title: str
    summary: str
    link: str
    published_at: datetime


class Newsroom:
    """The headlines of a market, made on first use, one ticker at a time, and looked up by time."""

    def __init__(self, market: Market, news: NewsSpec | pa.Table) -> None:
        self._market = market
        self._news = news
        self._stories = functools.cache(self._load)

    def latest(self, tickers: Sequence[str], now: int, most: int = LATEST) -> list[Item]:
        """The newest `most` items published by `now` (Unix seconds), newest first."""
        return self._items(tickers, 0, now + 1, most)

    def between(self, tickers: Sequence[str], start: int, end: int, now: int) -> list[Item]:
        """All items published in [start, end) and by `now` (Unix seconds), newest first."""
        return self._items(tickers, start, min(end, now + 1), None)

    def _items(self, tickers: Sequence[str], start: int, end: int, most: int | None) -> list[Item]:
        found: list[Item] = []
        for ticker in tickers:
            table, published = self._stories(ticker)
            first, stop = (int(i) for i in np.searchsorted(published, (start, end)))
            first = first if most is None else max(first, stop - most)
            found += [Item(**row) for row in table.slice(first, max(0, stop - first)).to_pylist()]
        found.sort(key=lambda item: (item.published_at, item.guid), reverse=True)
        return found[:most]

    def _load(self, ticker: str) -> tuple[pa.Table, np.ndarray]:
        if isinstance(self._news, NewsSpec):
            table = ticker_headlines(self._market.history(ticker), self._news)
        else:
            table = self._news.filter(pc.equal(self._news["ticker"], ticker))
            table = table.sort_by("published_at")
        seconds = pc.divide(table["published_at"].cast(pa.int64()), 1_000_000)
        return table, seconds.to_numpy()


def rss(title: str, link: str, items: Sequence[Item]) -> str:
    """An RSS 2.0 document."""
    entries = "".join(
        f"<item><title>{escape(item.title)}</title><link>{escape(item.link)}</link>"
        f'<guid isPermaLink="false">{escape(item.guid)}</guid>'
        f"<pubDate>{http_date(item.published_at)}</pubDate>"
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
    """An Atom 1.0 document. Its stories have identities of their own (tag URIs)."""
    entries = "".join(
        f"<entry><id>tag:www.sandbox.example,2000:{escape(item.guid)}</id>"
        f"<title>{escape(item.title)}</title>"
        f'<link href="{escape(item.link, {chr(34): "&quot;"})}?ref=atom"/>'
        f"<published>{_rfc3339(item.published_at)}</published>"
        f"<updated>{_rfc3339(item.published_at)}</updated>"
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


def http_date(moment: datetime) -> str:
    """`Mon, 02 Jan 2012 03:04:05 GMT`: the form of RSS dates and HTTP validators alike."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
