"""A small real warehouse that grew day by day, with everything a reader can ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from newsvane import Reader, connect
from tasks.dataset.build import assemble_dataset, lay_out_sessions
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.split import SplitSpec
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.spec import EvaluationSpec
from warehouse.lake import Lake, LakeSpec
from warehouse.storage.landing import Payload
from warehouse.tables import batches
from warehouse.tables.datasets import load_split
from warehouse.tables.evaluations import evaluation_frame, store_evaluation
from warehouse.tables.headlines import publish_headlines
from warehouse.tables.predictions import store_backtest, store_forward, upcoming_examples
from warehouse.tables.prices import publish_prices

SESSIONS = exchange_sessions("XNYS", date(2012, 5, 17), date(2012, 5, 30))
SPLIT_DAY = date(2012, 5, 22)
RESTATED = date(2012, 5, 18)
TICKERS = ("AAPL", "MSFT")
SPEC = DatasetSpec(
    split=SplitSpec(train_until=date(2012, 5, 22), validation_until=date(2012, 5, 24))
)
HOUR = timedelta(hours=1)


@dataclass
class Diary:
    """What was read at each moment while the warehouse grew, by (moment, what)."""

    root: Path
    answers: dict[tuple[datetime, str], list[dict[str, Any]]] = field(default_factory=dict)

    def write(self, now: datetime) -> None:
        """Read the world as of `now`."""
        with connect(self.root) as reader:
            self.answers[now, "bars"] = comparable_bars(reader, now)
            self.answers[now, "headlines"] = comparable_headlines(reader, now)


def comparable_bars(reader: Reader, asof: datetime) -> list[dict[str, Any]]:
    """The bars with prices rounded: a quote put back on its own basis is off by a last bit."""
    rows = reader.bars(asof=asof).to_dicts()
    return [
        {k: round(v, 9) if isinstance(v, float) else v for k, v in row.items() if k != "vintage"}
        for row in rows
    ]


def comparable_headlines(reader: Reader, asof: datetime) -> list[dict[str, Any]]:
    """The headlines less their addresses: those of a superseded wording are not kept."""
    rows = reader.headlines(asof=asof).to_dicts()
    return [{name: value for name, value in row.items() if name != "url"} for row in rows]


def close_of(day: int, ticker: str) -> float:
    """The price per share of the first day."""
    return 100.0 + (day * 7 % 5) + (3.0 if ticker == "MSFT" else 0.0)


def quoted(day: int, ticker: str, *, basis: date | None = None, off: float = 0.0) -> dict[str, Any]:
    """One bar as its source quotes it on `basis` (default: its own session)."""
    session = SESSIONS["session"][day].as_py()
    shares = 4.0 if ticker == "AAPL" and (basis or session) >= SPLIT_DAY else 1.0
    close = (close_of(day, ticker) + off) / shares
    entry = (close_of(day, ticker) + (1.0 if day % 2 else -1.0)) / shares
    return {
        "ticker": ticker, "session": session, "open": entry, "high": max(entry, close),
        "low": min(entry, close), "close": close, "volume": 1000, "vendor_adj_close": None,
        "basis_date": basis or session, "source": "yahoo", "payload_id": "chart",
    }  # fmt: skip


def story(name: str, ticker: str, title: str, at: datetime, **other: Any) -> dict[str, Any]:
    return {
        "headline_id": name, "source": "wire", "title": title, "summary": None,
        "url": f"http://wire.example/{name}", "guid": name, "published_at": at,
        "first_seen_at": at, "available_at": at, "granularity": "second",
        "availability": "observed", "synthetic": True, "payload_id": "rss", "ticker": ticker,
        **other,
    }  # fmt: skip


def publish_bars(lake: Lake, rows: list[dict[str, Any]], now: datetime, *, split: bool) -> None:
    action = {"ticker": "AAPL", "ex_date": SPLIT_DAY, "kind": "split", "value": 4.0}
    action |= {"basis_date": SPLIT_DAY, "source": "yahoo", "payload_id": "chart"}
    batch = batches.PriceBatch(
        bars=pa.Table.from_pylist(rows, schema=batches.BARS),
        actions=pa.Table.from_pylist([action] if split else [], schema=batches.ACTIONS),
        payloads=(Payload("yahoo", "https://chart", 200, (), b"chart", now),),
    )
    publish_prices(lake, batch, now=now)


def publish_news(lake: Lake, rows: list[dict[str, Any]], now: datetime) -> None:
    pairs = [{**row, "method": "feed"} for row in rows]
    batch = batches.HeadlineBatch(
        headlines=pa.Table.from_pylist(rows, schema=batches.HEADLINES),
        headline_tickers=pa.Table.from_pylist(pairs, schema=batches.HEADLINE_TICKERS),
        payloads=(Payload("wire", "http://wire.example/rss", 200, (), b"rss", now),),
    )
    publish_headlines(lake, batch, now=now)


def live_a_day(lake: Lake, day: int) -> datetime:
    """News before the open, bars after the close; returns the evening of that session."""
    opened, closed = (SESSIONS[name][day].as_py() for name in ("open_ts", "close_ts"))
    news = [
        story(f"{ticker}-{day:02}", ticker, f"{ticker} story number {day}", opened - 2 * HOUR)
        for ticker in TICKERS
    ]
    publish_news(lake, news, opened - HOUR)
    session = SESSIONS["session"][day].as_py()
    bars = [quoted(day, ticker) for ticker in TICKERS]
    publish_bars(lake, bars, closed + HOUR, split=session == SPLIT_DAY)
    lay_out_sessions(lake, SPEC, closed)
    return closed + 2 * HOUR


def change_the_past(lake: Lake, diary: Diary, evening: datetime) -> datetime:
    """A restated bar, an edited headline, a late retelling, and a refetch on a later basis."""
    day = SESSIONS["session"].to_pylist().index(RESTATED)
    publish_bars(lake, [quoted(day, "MSFT", off=5.0)], evening + HOUR, split=False)
    edit = story("AAPL-05-edit", "AAPL", "AAPL denies it", evening, guid="AAPL-05")
    before = SESSIONS["open_ts"][6].as_py() - 3 * HOUR
    early = story("AAPL-06-first", "AAPL", "AAPL story number 6", before)
    seen = {"first_seen_at": evening + HOUR, "available_at": evening + HOUR}
    publish_news(lake, [edit | seen, early | seen], evening + HOUR)
    diary.write(evening + 2 * HOUR)
    latest = SESSIONS["session"][-1].as_py()
    refetched = [quoted(day, "AAPL", basis=latest) for day in range(len(SESSIONS))]
    publish_bars(lake, refetched, evening + 3 * HOUR, split=True)
    return evening + 4 * HOUR


def conclude(lake: Lake, root: Path, now: datetime) -> None:
    """A data set, its evaluation by two baselines, and forward predictions of the next session."""
    manifest = assemble_dataset(lake, SPEC, root / "datasets", now=now)
    rows = load_split(root / "datasets" / manifest.dataset_id / "test.jsonl")
    frame = evaluation_frame(lake, manifest.spec_id, rows["example_id"])
    p_up = {"majority": np.full(len(frame), 0.6), "coin": np.linspace(0.2, 0.8, len(frame))}
    found = evaluate(frame, p_up, EvaluationSpec(resamples=100))
    named = {"dataset_id": manifest.dataset_id, "model_ids": {}, "now": now}
    store_evaluation(lake, found.rows, split="test", **named)
    store_backtest(lake, frame, p_up, **named)
    opened = exchange_sessions("XNYS", date(2012, 5, 31), date(2012, 5, 31))["open_ts"][0].as_py()
    ahead = story("next", "AAPL", "AAPL looks ahead", opened - 2 * HOUR)
    publish_news(lake, [ahead], opened - HOUR)
    assemble_dataset(lake, SPEC, root / "datasets", now=opened - HOUR)
    upcoming = upcoming_examples(lake, manifest.spec_id, now=opened - HOUR)
    p_up = {"coin": np.full(len(upcoming), 0.7)}
    store_forward(lake, upcoming, p_up, **named | {"now": opened - HOUR})


@pytest.fixture(scope="session")
def diary(tmp_path_factory: pytest.TempPathFactory) -> Diary:
    """A data root below a folder of its own, and what was read of it along the way."""
    root = tmp_path_factory.mktemp("api") / "data"
    kept = Diary(root)
    with Lake.open(LakeSpec().placed_below(root)) as lake:
        for day in range(len(SESSIONS)):
            evening = live_a_day(lake, day)
            if day % 2 == 0:
                kept.write(evening)
        now = change_the_past(lake, kept, evening)
        conclude(lake, root, now.astimezone(UTC))
    return kept


@pytest.fixture(scope="module")
def reader(diary: Diary) -> Iterator[Reader]:
    """The finished warehouse, opened for reading."""
    with connect(diary.root) as opened:
        yield opened


@pytest.fixture(scope="session")
def as_comparable() -> dict[str, Callable[[Reader, datetime], list[dict[str, Any]]]]:
    """How an answer is read so that it can be compared with what the diary holds."""
    return {"bars": comparable_bars, "headlines": comparable_headlines}
