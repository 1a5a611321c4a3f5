"""Answers altered by one byte or one field, and what became of each in the warehouse.

Every altered answer passes through parsing, validation and publishing under a name of its own,
against a warehouse that holds the unaltered one under that name.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from tasks.ingest.headlines.batch_builder import BatchBuilder
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.requests import FeedRequest
from tasks.ingest.prices.replay import replay_prices
from tasks.ingest.prices.spec import PriceSpec
from warehouse.lake import Lake
from warehouse.storage.landing import Payload
from warehouse.tables.batches import HeadlineBatch, PriceBatch
from warehouse.tables.headlines import publish_headlines
from warehouse.tables.prices import publish_prices

Outcome = Literal["equal", "refused", "quarantined", "partial", "vintage", "unseen"]
"""unseen: something stands otherwise than before, or is new, and nothing marks it."""

FEED_URL = "http://wire.example/rss?s={ticker}"
BYTES = b"0123456789abcXYZ <>&;\"'{}[],.:-/=\x00\xff\xc3"
ELEMENT = re.compile(rb"<(title|link|guid|pubDate|updated|published|id)\b[^>]*>([^<]+)<")
DAY, HOUR = 86_400, 3_600


@dataclass(frozen=True)
class Mutation:
    """An answer with one alteration, in words."""

    body: bytes
    what: str


@dataclass(frozen=True)
class Judged:
    """What became of one altered answer, and what shows it."""

    outcome: Outcome
    mutation: Mutation
    evidence: str


# How a number and a text of a JSON document are altered.
NUMBERS: dict[str, Callable[[Any], Any]] = {
    "hundredfold": lambda number: number * 100,
    "a tenth": lambda number: number / 10,
    "a percent more": lambda number: number * 1.01,
    "negative": lambda number: -number,
    "zero": lambda number: 0,
    "null": lambda number: None,
    "a text": str,
    "a day more": lambda number: number + DAY,
    "an hour less": lambda number: number - HOUR,
    "words": lambda number: "n/a",
    "a list": lambda number: [number],
    "true": lambda number: True,
}
TEXTS: dict[str, Callable[[Any], Any]] = {
    "empty": lambda text: "",
    "null": lambda text: None,
    "a number": lambda text: 7,
    "backwards": lambda text: text[::-1],
}


def bytes_altered(body: bytes, rng: random.Random, count: int) -> Iterator[Mutation]:
    """One byte replaced, removed or doubled."""
    for _ in range(count):
        at = rng.randrange(len(body))
        kind = rng.choice(("replaced", "removed", "doubled"))
        one = body[at : at + 1]
        new = {"replaced": bytes([rng.choice(BYTES)]), "removed": b"", "doubled": one * 2}[kind]
        around = body[max(0, at - 30) : at + 30].decode("latin-1")
        yield Mutation(body[:at] + new + body[at + 1 :], f"{kind} {one!r}, {new!r}, in {around!r}")


def fields_altered(body: bytes, rng: random.Random, count: int) -> Iterator[Mutation]:
    """One value of a JSON document altered, or taken out."""
    document = json.loads(body)
    leaves = list(_leaves(document, ()))
    for _ in range(count):
        (*parents, last), value = rng.choice(leaves)
        changed = copy.deepcopy(document)
        holder = changed
        for step in parents:
            holder = holder[step]
        kinds = TEXTS if isinstance(value, str) else NUMBERS
        kind = "gone" if rng.random() < 0.1 else rng.choice(sorted(kinds))
        if kind == "gone":
            del holder[last]
        else:
            holder[last] = kinds[kind](1 if value is None else value)
        where = ".".join(map(str, (*parents, last)))
        yield Mutation(json.dumps(changed).encode(), f"{where} = {value!r}: {kind}")


def _leaves(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(node, dict | list):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _leaves(child, (*path, key))
    else:
        yield path, node


def elements_altered(body: bytes, rng: random.Random, count: int) -> Iterator[Mutation]:
    """One element of a feed's items emptied or cut short, or one character of its text altered."""
    items = re.search(rb"<(item|entry)\b", body)
    assert items is not None
    spans = [found.span(2) for found in ELEMENT.finditer(body, items.start())]
    for _ in range(count):
        begin, end = rng.choice(spans)
        text = body[begin:end]
        at, digit = rng.randrange(len(text)), b"%d" % rng.randrange(10)
        new = rng.choice([b"", text[:at], text[:at] + digit + text[at + 1 :],
                          text[:at] + b"x" + text[at + 1 :]])  # fmt: skip
        yield Mutation(body[:begin] + new + body[end:], f"{text!r}: {new!r}")


def judged_charts(
    lake: Lake,
    symbol: str,
    body: bytes,
    mutations: Sequence[Mutation],
    calendar: pa.Table,
    fetched: datetime,
    folder: Path,
) -> Iterator[Judged]:
    """What becomes of a chart's mutations, fetched an hour after the chart itself."""

    def read(bodies: Mapping[str, bytes], at: datetime) -> PriceBatch:
        batches = [
            _read_chart(ticker, symbol, one, calendar, at, folder) for ticker, one in bodies.items()
        ]
        return PriceBatch(
            bars=pa.concat_tables([batch.bars for batch in batches]),
            actions=pa.concat_tables([batch.actions for batch in batches]),
            rejects=pa.concat_tables([batch.rejects for batch in batches]),
            missing=tuple(pair for batch in batches for pair in batch.missing),
        )

    tickers = {f"{symbol}{number}": one for number, one in enumerate(mutations)}
    whole = read({symbol: body}, fetched)
    copies = PriceBatch(
        bars=_renamed(whole.bars, tickers), actions=_renamed(whole.actions, tickers)
    )
    publish_prices(lake, copies, now=fetched)
    before = _prices(lake)
    later = fetched + timedelta(hours=1)
    batch = read({ticker: one.body for ticker, one in tickers.items()}, later)
    publish_prices(lake, batch, now=later)
    after = _prices(lake)
    revised = {
        (row["ticker"], row.get("kind", "bar"), row.get("session") or row["ex_date"])
        for table in ("bar_revisions", "action_revisions")
        for row in lake.sql(f"SELECT * FROM {table}").to_pylist()
    }
    rejected = Counter(key.partition("@")[0] for key in batch.rejects["key"].to_pylist())
    failed = dict(batch.missing)
    for ticker, mutation in tickers.items():
        was, now = before[ticker], after[ticker]
        changed = {key for key in was | now if not _alike(was.get(key), now.get(key))}
        unseen = {key for key in changed if (ticker, *key) not in revised}
        if unseen:
            evidence = str([(key, was.get(key), now.get(key)) for key in unseen])
            yield Judged("unseen", mutation, evidence)
        elif ticker in failed:
            yield Judged("refused", mutation, failed[ticker])
        elif changed:
            yield Judged("vintage", mutation, str(changed))
        elif rejected[ticker]:
            yield Judged("quarantined", mutation, str(rejected[ticker]))
        else:
            yield Judged("equal", mutation, "")


def _read_chart(
    ticker: str, symbol: str, body: bytes, calendar: pa.Table, at: datetime, folder: Path
) -> PriceBatch:
    """A chart as a replay reads it, under a ticker of its own."""
    first, last = calendar["session"][0].as_py(), calendar["session"][-1].as_py()
    period1, period2 = (
        int(datetime(day.year, day.month, day.day, 5, tzinfo=UTC).timestamp())
        for day in (first, last)
    )
    url = f"https://query2.finance.yahoo.com/v8/finance/chart/{symbol}"
    asked = f"{url}?period1={period1}&period2={period2}"
    landed = pa.table({"payload_id": [ticker], "url": [asked], "fetched_at": [at]})
    spec = PriceSpec(source="vendor", cache=folder / "yfinance", symbols={ticker: symbol})
    return replay_prices(landed, lambda _: body, spec, calendar=calendar)


def _renamed(rows: pa.Table, tickers: Mapping[str, Any]) -> pa.Table:
    """The rows once for each ticker."""
    place, kind = rows.schema.get_field_index("ticker"), rows.schema.field("ticker")
    return pa.concat_tables(
        rows.set_column(place, kind, pa.array([ticker] * rows.num_rows, pa.string()))
        for ticker in tickers
    )


Numbers = dict[tuple[Any, ...], tuple[Any, ...]]


def _prices(lake: Lake) -> dict[str, Numbers]:
    """Bars and actions by ticker and key, with their numbers."""
    rows: dict[str, Numbers] = {}
    quoted = ("open", "high", "low", "close", "volume", "vendor_adj_close")
    for row in lake.sql("SELECT * FROM bars").to_pylist():
        key = ("bar", row["session"])
        rows.setdefault(row["ticker"], {})[key] = tuple(row[name] for name in quoted)
    for row in lake.sql("SELECT * FROM actions").to_pylist():
        rows.setdefault(row["ticker"], {})[row["kind"], row["ex_date"]] = (row["value"],)
    return rows


def _alike(one: tuple[Any, ...] | None, other: tuple[Any, ...] | None) -> bool:
    if one is None or other is None:
        return False
    return all(
        a == b or (a is not None and b is not None and abs(a - b) <= 1e-6 * abs(a))
        for a, b in zip(one, other, strict=True)
    )


def judged_feeds(
    lake: Lake, prefix: str, body: bytes, mutations: Sequence[Mutation], fetched: datetime
) -> Iterator[Judged]:
    """What becomes of a feed's mutations, polled an hour after the feed itself."""
    names = {f"{prefix}{number}": one for number, one in enumerate(mutations)}
    whole = {name: _read_feed(name, body, fetched) for name in names}
    _publish_feeds(lake, whole, fetched)
    before = _headlines(lake)
    later = fetched + timedelta(hours=1)
    batches = {name: _read_feed(name, one.body, later) for name, one in names.items()}
    _publish_feeds(lake, batches, later)
    after = _headlines(lake)
    revised = set(lake.sql("SELECT headline_id FROM headline_revisions")["headline_id"].to_pylist())
    for name, mutation in names.items():
        was, now, batch = before[name], after[name], batches[name]
        [row] = batch.partitions.to_pylist()
        changed = {key for key in was | now if was.get(key) != now.get(key)}
        evidence = str([(was.get(key), now.get(key)) for key in changed])
        if changed - revised:
            yield Judged("unseen", mutation, evidence)
        elif row["state"] == "failed":
            yield Judged("refused", mutation, row["error"])
        elif changed:
            yield Judged("vintage", mutation, evidence)
        elif batch.rejects.num_rows:
            yield Judged("quarantined", mutation, str(batch.rejects["reason"].to_pylist()))
        elif row["state"] == "partial":
            yield Judged("partial", mutation, row["error"])
        else:
            yield Judged("equal", mutation, "")


def _read_feed(name: str, body: bytes, at: datetime) -> HeadlineBatch:
    builder = BatchBuilder(FeedSpec(name=name, url=FEED_URL))
    request = FeedRequest("X", FEED_URL.format(ticker="X"), at.date(), at.date())
    payload = Payload(name, request.url, 200, (), body, at)
    builder.add(request, payload, payload.payload_id)
    return builder.batch()


def _publish_feeds(lake: Lake, batches: Mapping[str, HeadlineBatch], now: datetime) -> None:
    whole = HeadlineBatch(
        headlines=pa.concat_tables([batch.headlines for batch in batches.values()]),
        headline_tickers=pa.concat_tables([one.headline_tickers for one in batches.values()]),
        rejects=pa.concat_tables([batch.rejects for batch in batches.values()]),
        partitions=pa.concat_tables([batch.partitions for batch in batches.values()]),
    )
    publish_headlines(lake, whole, now=now, join=False)


def _headlines(lake: Lake) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Headlines by source and id: words, and every time that decides where they count."""
    rows: dict[str, dict[str, tuple[Any, ...]]] = {}
    told = ("title", "summary", "published_at", "available_at")
    for row in lake.sql("SELECT * FROM headlines").to_pylist():
        words = tuple(row[name] for name in told)
        rows.setdefault(row["source"], {})[row["headline_id"]] = words
    return rows
