"""Small benchmark folders in the layouts that the literature released: generated, not real."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

TICKERS = ("AAA", "BBB", "CCC")
MADE = ["c_open", "c_high", "c_low", "n_close", "n_adj_close"]
MADE += [f"adj_sum_{n}" for n in (5, 10, 15, 20, 25, 30)]


@dataclass(frozen=True)
class Bar:
    day: date
    open: float
    high: float
    low: float
    close: float
    adj_close: float


def bars(first: date, last: date, seed: int) -> list[Bar]:
    """A random walk on weekdays, with moves on both sides of the dead band and in it."""
    draw, close, found, day = Random(seed), 50.0, [], first
    while day <= last:
        if day.weekday() < 5:
            before, close = close, close * (1 + draw.gauss(0, 0.01))
            high, low = max(before, close) * 1.002, min(before, close) * 0.998
            found.append(Bar(day, before, high, low, close, round(close * 0.9, 6)))
        day += timedelta(days=1)
    return found


def write_stocknet(folder: Path, first: date, last: date) -> Path:
    """price/raw/TICKER.csv and tweet/preprocessed/TICKER/DAY, as yumoxu/stocknet-dataset has."""
    for seed, ticker in enumerate(TICKERS):
        made = bars(first, last, seed)
        _csv(
            folder / "price" / "raw" / f"{ticker}.csv",
            ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"],
            [[b.day, b.open, b.high, b.low, b.close, b.adj_close, 1000] for b in made],
        )
        write_messages(folder / "tweet" / "preprocessed" / ticker, made, seed, words=True)
    return folder


def write_made_features(folder: Path, first: date, last: date) -> Path:
    """price/TICKER.csv with features and labels, tweet/TICKER/DAY, as Soun et al. (2022) have."""
    for seed, ticker in enumerate(TICKERS):
        made, draw = bars(first, last, seed), Random(seed)
        rows = []
        for before, bar in zip([made[0], *made], made, strict=False):
            move = bar.adj_close / before.adj_close - 1
            label = 1 if move >= 0.0055 else -1 if move <= -0.005 else 0
            rows.append([bar.day, *(draw.gauss(0, 1) for _ in MADE), float(label), bar.adj_close])
        names = ["date", *MADE, "label", "closing_price_for_label"]
        _csv(folder / "price" / f"{ticker}.csv", names, rows)
        write_messages(folder / "tweet" / ticker, made, seed, words=False)
    return folder


def write_messages(folder: Path, made: list[Bar], seed: int, *, words: bool) -> None:
    """About one day in three has a message or two; a file's name is its day."""
    draw = Random(seed + 100)
    folder.mkdir(parents=True)
    for bar in made:
        if draw.random() < 0.35:
            at = datetime(bar.day.year, bar.day.month, bar.day.day, 14, tzinfo=UTC)
            lines = []
            for number in range(draw.choice((1, 2))):
                text = f"{draw.choice(('strong', 'weak', 'flat'))} quarter number {number}"
                given = text.split() if words else text
                lines.append(json.dumps({"text": given, "created_at": at.isoformat()}))
            (folder / bar.day.isoformat()).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _csv(path: Path, names: list[str], rows: list[list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        writer.writerows(rows)
