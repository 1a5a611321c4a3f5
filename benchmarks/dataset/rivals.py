"""The same work in columns, with other people's libraries: pandas merge_asof and polars join_asof.

Each reads headlines, headline_revisions, headline_tickers, tickers, bars and sessions from Parquet
and writes the same JSON lines: a story counts once per ticker, in the first session decided
strictly after it was available, as it read then; the latest three are shown, on one line each and
cut; the label is the sign of the rounded open-to-close return of a session with trade.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

LEAD = timedelta(minutes=5)
SHOWN = 3
TITLE_CHARS = 160
# The no-break space is named, because the expressions of pandas' strings (RE2) do not count it.
SPACES = r"[\s\u00a0]+"
UNTIDY = r"[^ -~]|  |^ | $"
TIME = "%Y-%m-%dT%H:%M:%SZ"


def with_pandas(source: Path, out: Path) -> None:
    """merge_asof for the session, groupby for the prompt, json.dumps for the line."""
    import pandas as pd

    versions = every_version(source)
    clock = pd.read_parquet(source / "sessions.parquet")
    clock["decision_ts"] = clock["open_ts"] - LEAD
    versions = pd.merge_asof(
        versions.sort_values("available_at"),
        clock.sort_values("decision_ts"),
        left_on="available_at",
        right_on="decision_ts",
        by="exchange",
        direction="forward",
        allow_exact_matches=False,
    )
    versions = versions.sort_values(["session", "published_at", "headline_id", "available_at"])
    versions = versions.drop_duplicates(["ticker", "story_id"])
    versions = versions.groupby(["session", "ticker"], sort=False).tail(SHOWN)
    untidy = versions["title"].str.contains(UNTIDY)
    tidied = versions.loc[untidy, "title"].str.replace(SPACES, " ", regex=True).str.strip()
    versions.loc[untidy, "title"] = tidied
    versions["line"] = "- " + versions["title"].str[:TITLE_CHARS]
    rows = (
        versions.groupby(["session", "ticker", "exchange"])
        .agg(lines=("line", "\n".join), headline_ids=("headline_id", list))
        .reset_index()
    )
    bars = pd.read_parquet(source / "bars.parquet").query("volume > 0")
    bars["label_return"] = (bars["close"] / bars["open"] - 1).round(10)
    rows = rows.merge(bars[["ticker", "session", "label_return"]], on=["ticker", "session"])
    rows = rows[rows["label_return"] != 0].merge(clock, on=["exchange", "session"])
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
    current = pl.scan_parquet(source / "headlines.parquet")
    former = pl.scan_parquet(source / "headline_revisions.parquet").join(
        current.select("headline_id", "story_id"), on="headline_id"
    )
    about = pl.scan_parquet(source / "headline_tickers.parquet").join(
        pl.scan_parquet(source / "tickers.parquet"), on="ticker"
    )
    versions = pl.concat([current, former.select(current.collect_schema().names())]).join(
        about, on="headline_id"
    )
    tidied = pl.col("title").str.replace_all(r"\s+", " ").str.strip_chars(" ")
    title = pl.when(pl.col("title").str.contains(UNTIDY)).then(tidied).otherwise(pl.col("title"))
    placed = (
        versions.sort("available_at")
        .join_asof(
            clock.select("exchange", "session", "decision_ts").sort("decision_ts"),
            left_on="available_at",
            right_on="decision_ts",
            by="exchange",
            strategy="forward",
            allow_exact_matches=False,
        )
        .sort("session", "published_at", "headline_id", "available_at")
        .unique(["ticker", "story_id"], keep="first", maintain_order=True)
    )
    rows = (
        placed.group_by("session", "ticker", "exchange", maintain_order=True)
        .agg(
            lines=(pl.lit("- ") + title.str.head(TITLE_CHARS)).tail(SHOWN),
            headline_ids=pl.col("headline_id").tail(SHOWN),
        )
        .with_columns(lines=pl.col("lines").list.join("\n"))
    )
    bars = pl.scan_parquet(source / "bars.parquet").filter(pl.col("volume") > 0)
    bars = bars.select(
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
    texts = clock.select(
        "exchange", "session", pl.col("session").cast(pl.String).alias("day"), *stamps
    )
    (
        rows.join(bars, on=["ticker", "session"])
        .filter(pl.col("label_return") != 0)
        .join(texts, on=["exchange", "session"])
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


def every_version(source: Path) -> Any:
    """Every version of every headline, with its ticker, as a pandas frame."""
    import pandas as pd

    versions = pd.read_parquet(source / "headlines.parquet")
    former = pd.read_parquet(source / "headline_revisions.parquet")
    former = former.merge(versions[["headline_id", "story_id"]], on="headline_id")
    about = pd.read_parquet(source / "headline_tickers.parquet")
    about = about.merge(pd.read_parquet(source / "tickers.parquet"), on="ticker")
    return pd.concat([versions, former]).merge(about, on="headline_id")


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
