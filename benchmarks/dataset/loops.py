"""The same work one example at a time: in dictionaries, and by filtering whole data frames."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from datetime import UTC
from pathlib import Path
from typing import Any

from rivals import LEAD, SHOWN, TIME, TITLE_CHARS, every_version, line_of


def with_a_loop(source: Path, out: Path) -> None:
    """One row at a time, in plain Python dictionaries: how such sets are usually made."""
    import pyarrow.parquet as pq

    def rows(name: str) -> list[dict[str, Any]]:
        table: list[dict[str, Any]] = pq.read_table(source / f"{name}.parquet").to_pylist()
        return table

    clock = defaultdict(list)
    for row in sorted(rows("sessions"), key=lambda row: row["open_ts"]):
        clock[row["exchange"]].append(row)
    decisions = {
        exchange: [row["open_ts"].astimezone(UTC) - LEAD for row in listed]
        for exchange, listed in clock.items()
    }
    exchange_of = {row["ticker"]: row["exchange"] for row in rows("tickers")}
    ticker_of = {row["headline_id"]: row["ticker"] for row in rows("headline_tickers")}
    current = rows("headlines")
    story_of = {row["headline_id"]: row["story_id"] for row in current}
    former = [
        row | {"story_id": story_of[row["headline_id"]]} for row in rows("headline_revisions")
    ]
    versions = []
    for row in (*current, *former):
        exchange = exchange_of[ticker_of[row["headline_id"]]]
        number = bisect_right(decisions[exchange], row["available_at"])
        versions.append((number, row["published_at"], row["headline_id"], row["available_at"], row))
    versions.sort(key=lambda entry: entry[:4])
    seen, groups = set(), defaultdict(list)
    for number, _, name, _, row in versions:
        ticker = ticker_of[name]
        if (ticker, row["story_id"]) not in seen:
            seen.add((ticker, row["story_id"]))
            groups[clock[exchange_of[ticker]][number]["session"], ticker].append(row)
    prices = {(row["session"], row["ticker"]): row for row in rows("bars")}
    hours = {(row["exchange"], row["session"]): row for listed in clock.values() for row in listed}
    with out.open("w", encoding="utf-8") as stream:
        for session, ticker in sorted(groups):
            bar = prices.get((session, ticker))
            if bar is None or bar["volume"] == 0:
                continue
            if (change := round(bar["close"] / bar["open"] - 1, 10)) == 0:
                continue
            shown = groups[session, ticker][-SHOWN:]
            hour = hours[exchange_of[ticker], session]
            lines = "\n".join(f"- {tidy(row['title'])}" for row in shown)
            opened, closed = hour["open_ts"], hour["close_ts"]
            stamps = [instant.strftime(TIME) for instant in (opened - LEAD, opened, closed)]
            text = f"{ticker} news:\n{lines}\nDirection:"
            ids = [row["headline_id"] for row in shown]
            stream.write(line_of(text, change, ticker, str(session), *stamps, ids))


def with_filters(source: Path, out: Path, examples: int = 200) -> None:
    """One example at a time, each by filtering whole data frames: the loop of many notebooks.

    Only `examples` of them, drawn evenly from all, for the whole takes hours; what one costs
    depends on the frames' size, so these are whole.
    """
    import pandas as pd

    versions = every_version(source)
    clock = pd.read_parquet(source / "sessions.parquet").sort_values("open_ts")
    bars = pd.read_parquet(source / "bars.parquet")
    bars = bars.merge(pd.read_parquet(source / "tickers.parquet"), on="ticker")
    lines: list[str] = []
    for _, bar in bars.iloc[:: max(1, len(bars) // (3 * examples))].iterrows():
        change = round(bar["close"] / bar["open"] - 1, 10)
        listed = clock[clock["exchange"] == bar["exchange"]]
        hours = listed[listed["session"] == bar["session"]].iloc[0]
        before = listed[listed["session"] < bar["session"]].iloc[-1]
        decided, earlier = hours["open_ts"] - LEAD, before["open_ts"] - LEAD
        own = versions[(versions["ticker"] == bar["ticker"]) & (versions["available_at"] < decided)]
        own = own.sort_values(["published_at", "headline_id", "available_at"])
        own = own.drop_duplicates("story_id")
        shown = own[own["available_at"] >= earlier].tail(SHOWN)
        if change == 0 or bar["volume"] == 0 or shown.empty:
            continue
        text = "\n".join(f"- {tidy(row['title'])}" for _, row in shown.iterrows())
        stamps = [
            instant.strftime(TIME) for instant in (decided, hours["open_ts"], hours["close_ts"])
        ]
        prompt = f"{bar['ticker']} news:\n{text}\nDirection:"
        ids = list(shown["headline_id"])
        lines.append(line_of(prompt, change, bar["ticker"], str(bar["session"]), *stamps, ids))
        if len(lines) == examples:
            break
    out.write_text("".join(lines), encoding="utf-8")


def tidy(title: str) -> str:
    """The title on one line, cut."""
    return " ".join(title.split())[:TITLE_CHARS]
