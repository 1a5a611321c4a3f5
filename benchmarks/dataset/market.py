"""A made-up market of any size: heavy-tailed news over many tickers, ten years of daily bars.

It has what real sources have: two exchanges with hours and holidays of their own, repeated stories,
headlines edited after they were seen, titles with stray spaces or without end, sessions without
trade, splits, bars that were restated days later.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.dataset.spec.clock import calendar_version, calendar_years, exchange_sessions
from warehouse.lake import Lake, LakeSpec
from warehouse.tables.sessions import publish_sessions

FIRST, LAST = date(2010, 1, 4), date(2019, 12, 31)
STAMP = pa.timestamp("us", tz="UTC")
SUBJECTS = ("Quarterly revenue", "The new plant", "Guidance", "A large order", "The recall")
VERBS = ("beats", "misses", "delays", "lifts", "cuts", "confirms", "reviews")
OBJECTS = ("estimates for the year", "plans in Europe", "the outlook of analysts", "margins")
TAILS = ("", "\t", "  in  brief ", "\u00a0- live", ", people close to the matter say" * 6)
UPDATED = " (updated)"
EDITED_AFTER = timedelta(hours=3)
RESTATED_AFTER = timedelta(days=3)
SPLIT = date(2014, 6, 9)


def exchange_of(ticker: int) -> str:
    """Where a ticker is listed, by its number: every fourth one in London."""
    return "XLON" if ticker % 4 == 3 else "XNYS"


def sessions() -> pa.Table:
    """The sessions of both exchanges with a margin on both sides."""
    span = date(2009, 12, 1), date(2020, 2, 1)
    return pa.concat_tables(exchange_sessions(exchange, *span) for exchange in ("XNYS", "XLON"))


def bars(tickers: int, seed: int) -> pa.Table:
    """One bar per session and ticker, by exchange and then in that order; see `_bars_on`."""
    listed = {exchange_of(ticker): [] for ticker in range(tickers)}
    for ticker in range(tickers):
        listed[exchange_of(ticker)].append(ticker)
    return pa.concat_tables(
        _bars_on(exchange, np.array(numbers), seed) for exchange, numbers in listed.items()
    )


def _bars_on(exchange: str, numbers: np.ndarray, seed: int) -> pa.Table:
    """A random walk, one session in 200 without trade, one bar in 100 in its second vintage.

    Prices are as quoted: every tenth ticker's are halved from SPLIT on.
    """
    calendar = exchange_sessions(exchange, FIRST, LAST)
    days, tickers = calendar.num_rows, len(numbers)
    count = days * tickers
    random = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(random.normal(0, 0.01, (days, tickers)), axis=0))
    before = np.asarray(calendar["session"]) < np.datetime64(SPLIT)
    close *= np.where(before[:, None] & (numbers % 10 == 0), 2, 1)
    opened = close * np.exp(random.normal(0, 0.01, (days, tickers)))
    session = pa.array(np.repeat(np.asarray(calendar["session"]), tickers), pa.date32())
    prices = {"open": opened, "close": close}
    prices |= {"high": np.maximum(opened, close), "low": np.minimum(opened, close)}
    columns = {name: pa.array(np.round(value, 2).ravel()) for name, value in prices.items()}
    volume = random.integers(1_000, 1_000_000, count) * (random.random(count) >= 0.005)
    restated = random.random(count) < 0.01
    known = pc.add(session.cast(pa.timestamp("us")), pa.scalar(timedelta(days=1)))
    later = pc.add(known, pa.scalar(RESTATED_AFTER))
    return pa.table(
        {
            "ticker": names(np.tile(numbers, days)),
            "session": session,
            **columns,
            "volume": pa.array(volume, pa.int64()),
            "vendor_adj_close": columns["close"],
            "basis_date": session,
            **constant(count, source="made-up", payload_id="none"),
            "recorded_at": pc.if_else(pa.array(restated), later, known).cast(STAMP),
            "vintage": pa.array(np.where(restated, 2, 1).astype(np.int32)),
        }
    )


def first_vintages(prices: pa.Table) -> pa.Table:
    """The first vintage of the restated ones among `prices`: rows of `bar_revisions`."""
    restated = prices.filter(pc.equal(prices["vintage"], 2))
    first = restated.append_column("superseded_at", restated["recorded_at"])
    known = pc.subtract(restated["recorded_at"], pa.scalar(RESTATED_AFTER))
    former = {"close": pc.multiply(restated["close"], 1.01), "recorded_at": known}
    former["vintage"] = pa.array(np.ones(restated.num_rows, np.int32))
    for name, values in former.items():
        first = first.set_column(first.schema.get_field_index(name), name, values)
    return first


def splits(tickers: int) -> pa.Table:
    """The splits: rows of `actions`."""
    numbers = np.arange(0, tickers, 10)
    count = len(numbers)
    return pa.table(
        {
            "ticker": names(numbers),
            "ex_date": pa.repeat(pa.scalar(SPLIT), count),
            **constant(count, kind="split", source="made-up", payload_id="none"),
            "value": pa.array(np.full(count, 2.0)),
            "basis_date": pa.repeat(pa.scalar(SPLIT), count),
            "recorded_at": constant_stamp(count, datetime(2020, 2, 1, tzinfo=UTC)),
            "vintage": pa.array(np.ones(count, np.int32)),
        }
    )


def listings(tickers: int) -> pa.Table:
    """The exchange of each ticker: rows of `tickers`."""
    symbols = names(np.arange(tickers))
    return pa.table(
        {
            "ticker": symbols,
            "exchange": pa.array([exchange_of(ticker) for ticker in range(tickers)]),
            "alias": symbols,
            **constant(tickers, kind="symbol"),
            "valid_from": pa.repeat(pa.scalar(FIRST), tickers),
        }
    )


def headlines(rows: int, tickers: int, seed: int, *, first_id: int = 0) -> pa.Table:
    """`rows` headlines in order of arrival, one ticker each; one in twenty retells another.

    Tickers follow a power law, so that a few have dozens a day and most have days without. One
    title in ten is untidy or long; one headline in thirty is in its second wording, known
    EDITED_AFTER it was published. Columns are those of the warehouse's `headlines`, plus `ticker`.
    """
    random = np.random.default_rng(seed)
    weight = 1 / np.arange(1, tickers + 1) ** 0.9
    ticker = random.choice(tickers, rows, p=weight / weight.sum())
    span = (np.datetime64(LAST, "us") - np.datetime64(FIRST, "us")).astype(int)
    instant = np.sort(random.integers(0, span // 1_000_000, rows)) * 1_000_000
    published = pa.array(np.datetime64(FIRST, "us") + instant, pa.timestamp("us")).cast(STAMP)
    number = np.arange(first_id, first_id + rows)
    retold = (random.random(rows) < 0.05) & (np.arange(rows) > 0)
    # A retelling points at the latest earlier headline of the same ticker.
    order = np.lexsort((np.arange(rows), ticker))
    before = np.full(rows, -1)
    same = ticker[order][1:] == ticker[order][:-1]
    before[order[1:]] = np.where(same, order[:-1], -1)
    story = np.where(retold & (before >= 0) & ~retold[before], number[before], number)
    words = [
        pa.array(choices).take(pa.array(random.integers(0, len(choices), rows)))
        for choices in (SUBJECTS, VERBS, OBJECTS)
    ]
    tail = np.where(random.random(rows) < 0.1, random.integers(1, len(TAILS), rows), 0)
    words += [pc.cast(pa.array(number), pa.string())]
    title = pc.binary_join_element_wise(
        pc.binary_join_element_wise(names(ticker), *words, " "), pa.array(TAILS).take(tail), ""
    )
    edited = pa.array(random.random(rows) < 1 / 30)
    later = pc.cast(pc.add(published, pa.scalar(EDITED_AFTER, pa.duration("us"))), STAMP)
    return pa.table(
        {
            "headline_id": identifiers(number),
            "story_id": identifiers(story),
            "ticker": names(ticker),
            "title": pc.if_else(edited, pc.binary_join_element_wise(title, UPDATED, ""), title),
            "published_at": published,
            "first_seen_at": published,
            "available_at": pc.if_else(edited, later, published),
            **constant(
                rows,
                source="made-up",
                granularity="second",
                availability="asserted",
                payload_id="none",
            ),
            "synthetic": pa.array(np.ones(rows, bool)),
            "revision": pc.cast(pc.if_else(edited, 2, 1), pa.int32()),
        }
    )


def first_versions(news: pa.Table) -> pa.Table:
    """The first version of the edited ones among `news`: rows of `headline_revisions`."""
    edited = news.filter(pc.equal(news["revision"], 2))
    return pa.table(
        {
            "headline_id": edited["headline_id"],
            "revision": pa.array(np.ones(edited.num_rows, np.int32)),
            "title": pc.utf8_slice_codeunits(edited["title"], 0, -len(UPDATED)),
            "published_at": edited["published_at"],
            "available_at": edited["published_at"],
            "payload_id": edited["payload_id"],
            "superseded_at": edited["available_at"],
        }
    )


def prepare(folder: Path, lake_spec: LakeSpec, rows: int, tickers: int) -> None:
    """The same rows twice: as Parquet files for the rivals, and in a warehouse."""
    news, prices, calendar = headlines(rows, tickers, 2), bars(tickers, 1), sessions()
    about = news.select(["headline_id", "ticker"])
    needed = ["headline_id", "story_id", "title", "published_at", "available_at"]
    pq.write_table(news.select(needed), folder / "headlines.parquet", compression="zstd")
    pq.write_table(about, folder / "headline_tickers.parquet", compression="zstd")
    needed = ["headline_id", "title", "published_at", "available_at"]
    former = first_versions(news).select(needed)
    pq.write_table(former, folder / "headline_revisions.parquet", compression="zstd")
    needed = ["ticker", "session", "open", "close", "volume"]
    pq.write_table(prices.select(needed), folder / "bars.parquet", compression="zstd")
    pq.write_table(calendar, folder / "sessions.parquet", compression="zstd")
    listed = listings(tickers)
    needed = ["ticker", "exchange"]
    pq.write_table(listed.select(needed), folder / "tickers.parquet", compression="zstd")
    with Lake.open(lake_spec) as lake:
        lake.transact(lambda tx: tx.append("tickers", listed))
        lake.transact(lambda tx: tx.append("actions", splits(tickers)))
        _append(lake, news, prices)
        span = date(2009, 12, 1), date(2020, 2, 1)
        spans = dict.fromkeys(("XNYS", "XLON"), span)
        publish_sessions(lake, spans, calendar_years, calendar_version())


def add_session(lake: Lake, rows: int = 400, tickers: int = 500) -> None:
    """One more session's news and bars: the rates of the ten years before, on 2 January 2020."""
    day, opened = date(2020, 1, 2), datetime(2020, 1, 2, 12, tzinfo=UTC)
    news = headlines(rows, tickers, 7, first_id=10**9)
    instants = constant_stamp(rows, opened)
    for name in ("published_at", "first_seen_at", "available_at"):
        news = news.set_column(news.schema.get_field_index(name), name, instants)
    prices = bars(tickers, 9)
    prices = prices.filter(pc.equal(prices["session"], pa.scalar(FIRST)))
    session = pa.array([day] * prices.num_rows, pa.date32())
    for name in ("session", "basis_date"):
        prices = prices.set_column(prices.schema.get_field_index(name), name, session)
    known = constant_stamp(prices.num_rows, datetime(2020, 1, 3, tzinfo=UTC))
    prices = prices.set_column(prices.schema.get_field_index("recorded_at"), "recorded_at", known)
    _append(lake, news, prices)


def _append(lake: Lake, news: pa.Table, prices: pa.Table) -> None:
    method = pa.repeat(pa.scalar("declared"), news.num_rows)
    about = news.select(["headline_id", "ticker"]).append_column("method", method)
    lake.transact(
        lambda tx: (
            tx.append("bars", prices),
            tx.append("bar_revisions", first_vintages(prices)),
        )
    )
    lake.transact(
        lambda tx: (
            tx.append("headlines", news.drop_columns(["ticker"])),
            tx.append("headline_revisions", first_versions(news)),
            tx.append("headline_tickers", about),
        )
    )


def names(index: np.ndarray) -> pa.Array:
    """Ticker symbols T000, T001, … of the given indices."""
    return pc.binary_join_element_wise("T", padded(index, 3), "")


def identifiers(number: np.ndarray) -> pa.Array:
    """Headline ids of 32 characters, as the warehouse gives them."""
    return pc.binary_join_element_wise("h", padded(number, 31), "")


def padded(number: np.ndarray, width: int) -> pa.Array:
    """Decimal text with leading zeros."""
    return pc.utf8_lpad(pc.cast(pa.array(number), pa.string()), width, "0")


def constant(count: int, **values: str) -> dict[str, pa.Array]:
    """Columns that hold one text throughout."""
    return {name: pa.repeat(pa.scalar(value), count) for name, value in values.items()}


def constant_stamp(count: int, instant: datetime) -> pa.Array:
    """A column that holds one instant throughout."""
    return pa.repeat(pa.scalar(instant, STAMP), count)
