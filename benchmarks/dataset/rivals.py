"""The same work in other people's ways: pandas merge_asof, polars join_asof, and two kinds of loop.

Each reads headlines, headline_tickers, bars and sessions from Parquet and writes the same JSON
lines: a story counts once per ticker, in the first session decided strictly after it was available;
the latest three are shown; the label is the sign of the rounded open-to-close return.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

LEAD = timedelta(minutes=5)
SHOWN = 3
TIME = "%Y-%m-%dT%H:%M:%SZ"


def with_pandas(source: Path, out: Path) -> None:
    """merge_asof for the session, groupby for the prompt, json.dumps for the line."""
    import pandas as pd

    told = pd.read_parquet(source / "headlines.parquet").merge(
        pd.read_parquet(source / "headline_tickers.parquet"), on="headline_id"
    )
    clock = pd.read_parquet(source / "sessions.parquet")
    clock["decision_ts"] = clock["open_ts"] - LEAD
    told = pd.merge_asof(
        told.sort_values("available_at"),
        clock.sort_values("decision_ts"),
        left_on="available_at",
        right_on="decision_ts",
        direction="forward",
        allow_exact_matches=False,
    )
    told = told.sort_values(["session", "published_at", "headline_id"])
    told = told.drop_duplicates(["ticker", "story_id"])
    told = told.groupby(["session", "ticker"], sort=False).tail(SHOWN)
    told["line"] = "- " + told["title"]
    rows = (
        told.groupby(["session", "ticker"])
        .agg(lines=("line", "\n".join), headline_ids=("headline_id", list))
        .reset_index()
    )
    bars = pd.read_parquet(source / "bars.parquet")
    bars["label_return"] = (bars["close"] / bars["open"] - 1).round(10)
    rows = rows.merge(bars[["ticker", "session", "label_return"]], on=["ticker", "session"])
    rows = rows[rows["label_return"] != 0].merge(clock, on="session")
    rows = rows.sort_values(["session", "ticker"])
    session = rows["session"].astype(str)
    stamps = {
        name: rows[column].dt.strftime(TIME)
        for name, column in (("decision", "decision_ts"), ("start", "open_ts"), ("end", "close_ts"))
    }
    rows["input"] = rows["ticker"] + " news:\n" + rows["lines"] + "\nDirection:"
    with out.open("w", encoding="utf-8") as stream:
        stream.writelines(
            line_of(*row)
            for row in zip(
                rows["input"],
                rows["label_return"],
                rows["ticker"],
                session,
                stamps["decision"],
                stamps["start"],
                stamps["end"],
                rows["headline_ids"],
                strict=True,
            )
        )


def with_polars(source: Path, out: Path) -> None:
    """join_asof for the session, group_by for the prompt, write_ndjson for the lines."""
    import polars as pl

    clock = pl.scan_parquet(source / "sessions.parquet").with_columns(
        decision_ts=pl.col("open_ts") - LEAD
    )
    told = pl.scan_parquet(source / "headlines.parquet").join(
        pl.scan_parquet(source / "headline_tickers.parquet"), on="headline_id"
    )
    placed = (
        told.sort("available_at")
        .join_asof(
            clock.select("session", "decision_ts").sort("decision_ts"),
            left_on="available_at",
            right_on="decision_ts",
            strategy="forward",
            allow_exact_matches=False,
        )
        .sort("session", "published_at", "headline_id")
        .unique(["ticker", "story_id"], keep="first", maintain_order=True)
    )
    rows = (
        placed.group_by("session", "ticker", maintain_order=True)
        .agg(
            lines=(pl.lit("- ") + pl.col("title")).tail(SHOWN),
            headline_ids=pl.col("headline_id").tail(SHOWN),
        )
        .with_columns(lines=pl.col("lines").list.join("\n"))
    )
    bars = pl.scan_parquet(source / "bars.parquet").select(
        "ticker", "session", label_return=(pl.col("close") / pl.col("open") - 1).round(10)
    )
    stamps = [
        pl.col(column).dt.strftime(TIME).alias(name)
        for name, column in (
            ("decision_ts", "decision_ts"),
            ("label_start_ts", "open_ts"),
            ("label_end_ts", "close_ts"),
        )
    ]
    texts = clock.select("session", pl.col("session").cast(pl.String).alias("day"), *stamps)
    (
        rows.join(bars, on=["ticker", "session"])
        .filter(pl.col("label_return") != 0)
        .join(texts, on="session")
        .sort("session", "ticker")
        .select(
            input=pl.format("{} news:\n{}\nDirection:", "ticker", "lines"),
            output=pl.when(pl.col("label_return") > 0).then(pl.lit("up")).otherwise(pl.lit("down")),
            meta=pl.struct(
                pl.format("{}@{}", "ticker", "day").alias("example_id"),
                "ticker",
                pl.col("day").alias("session"),
                "decision_ts",
                "label_start_ts",
                "label_end_ts",
                "label_return",
                "headline_ids",
            ),
        )
        .collect()
        .write_ndjson(out)
    )


def with_a_loop(source: Path, out: Path) -> None:
    """One row at a time, in plain Python dictionaries: how such sets are usually made."""
    import pyarrow.parquet as pq

    def rows(name: str) -> list[dict[str, Any]]:
        table: list[dict[str, Any]] = pq.read_table(source / f"{name}.parquet").to_pylist()
        return table

    clock = sorted(rows("sessions"), key=lambda row: row["open_ts"])
    decisions = [row["open_ts"].astimezone(UTC) - LEAD for row in clock]
    ticker_of = {row["headline_id"]: row["ticker"] for row in rows("headline_tickers")}
    told = []
    for row in rows("headlines"):
        number = bisect_right(decisions, row["available_at"])
        told.append((number, row["published_at"], row["headline_id"], row))
    told.sort(key=lambda entry: entry[:3])
    seen, groups = set(), defaultdict(list)
    for number, _, name, row in told:
        ticker = ticker_of[name]
        if (ticker, row["story_id"]) not in seen:
            seen.add((ticker, row["story_id"]))
            groups[clock[number]["session"], ticker].append(row)
    prices = {(row["session"], row["ticker"]): row for row in rows("bars")}
    hours = {row["session"]: row for row in clock}
    with out.open("w", encoding="utf-8") as stream:
        for session, ticker in sorted(groups):
            bar = prices.get((session, ticker))
            if bar is None or (change := round(bar["close"] / bar["open"] - 1, 10)) == 0:
                continue
            shown, hour = groups[session, ticker][-SHOWN:], hours[session]
            lines = "\n".join(f"- {row['title']}" for row in shown)
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

    told = pd.read_parquet(source / "headlines.parquet").merge(
        pd.read_parquet(source / "headline_tickers.parquet"), on="headline_id"
    )
    clock = pd.read_parquet(source / "sessions.parquet").sort_values("open_ts")
    bars = pd.read_parquet(source / "bars.parquet")
    lines: list[str] = []
    for _, bar in bars.iloc[:: max(1, len(bars) // (3 * examples))].iterrows():
        change = round(bar["close"] / bar["open"] - 1, 10)
        hours = clock[clock["session"] == bar["session"]].iloc[0]
        before = clock[clock["session"] < bar["session"]].iloc[-1]
        decided, earlier = hours["open_ts"] - LEAD, before["open_ts"] - LEAD
        own = told[(told["ticker"] == bar["ticker"]) & (told["available_at"] < decided)]
        own = own.sort_values(["published_at", "headline_id"]).drop_duplicates("story_id")
        shown = own[own["available_at"] >= earlier].tail(SHOWN)
        if change == 0 or shown.empty:
            continue
        text = "\n".join(f"- {row['title']}" for _, row in shown.iterrows())
        stamps = [
            instant.strftime(TIME) for instant in (decided, hours["open_ts"], hours["close_ts"])
        ]
        prompt = f"{bar['ticker']} news:\n{text}\nDirection:"
        ids = list(shown["headline_id"])
        lines.append(line_of(prompt, change, bar["ticker"], str(bar["session"]), *stamps, ids))
        if len(lines) == examples:
            break
    out.write_text("".join(lines), encoding="utf-8")


def line_of(
    text: str,
    change: float,
    ticker: str,
    session: str,
    decision: str,
    start: str,
    end: str,
    headline_ids: list[str],
) -> str:
    """One JSON line."""
    meta = {
        "example_id": f"{ticker}@{session}",
        "ticker": ticker,
        "session": session,
        "decision_ts": decision,
        "label_start_ts": start,
        "label_end_ts": end,
        "label_return": change,
        "headline_ids": headline_ids,
    }
    row = {"input": text, "output": "up" if change > 0 else "down", "meta": meta}
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n"
