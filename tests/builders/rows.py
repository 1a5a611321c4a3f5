"""Rows of the warehouse's tables as their stages would leave them, for tests of later stages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from warehouse.lake import Lake
from warehouse.tables.batches import BARS
from warehouse.tables.models import Model

NOW = datetime(2024, 1, 1, tzinfo=UTC)
MARKUP = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)> {{ 7 * 7 }}"
"""Hostile text, for the end of a title."""


def append(lake: Lake, table: str, rows: dict[str, Any] | list[dict[str, Any]]) -> pa.Table:
    """Append records, or columns where a scalar holds for every row; returns what was appended."""
    made = pa.Table.from_pylist(rows) if isinstance(rows, list) else columns(rows)
    lake.transact(lambda tx: tx.append(table, made))
    return made


def columns(values: dict[str, Any]) -> pa.Table:
    """A table of these columns; a scalar is repeated."""
    several = {
        name: value
        for name, value in values.items()
        if isinstance(value, list | np.ndarray | pa.Array | pa.ChunkedArray)
    }
    size = len(next(iter(several.values())))
    return pa.table({name: several.get(name, [value] * size) for name, value in values.items()})


def bars(
    ticker: Any, session: Any, opened: np.ndarray, close: np.ndarray, volume: np.ndarray
) -> pa.Table:
    """Daily bars, a little higher and lower than they open and close, before they are recorded."""
    return columns({
        "ticker": ticker, "session": session, "open": opened,
        "high": np.maximum(opened, close) * 1.01, "low": np.minimum(opened, close) * 0.99,
        "close": close, "volume": volume, "vendor_adj_close": close, "basis_date": session,
        "source": "tape", "payload_id": "a" * 64,
    }).cast(BARS)  # fmt: skip


def append_bars(lake: Lake, quotes: pa.Table, at: datetime) -> None:
    """The bars as first recorded at this moment."""
    append(lake, "bars", dict(zip(quotes.column_names, quotes.columns, strict=True))
           | {"recorded_at": at, "vintage": 1})  # fmt: skip


def append_headlines(
    lake: Lake, ids: list[str], ticker: Any, published: Any, title: Any, **other: Any
) -> None:
    """Headlines of one ticker each, seen when they were published, each a story of its own."""
    moments = dict.fromkeys(("published_at", "first_seen_at", "available_at"), published)
    append(lake, "headlines", {
        "headline_id": ids, "story_id": ids, "source": "wire", "title": title, **moments,
        "granularity": "second", "availability": "observed", "synthetic": True,
        "payload_id": "b" * 64, "revision": 1, **other,
    })  # fmt: skip
    append(lake, "headline_tickers", {"headline_id": ids, "ticker": ticker, "method": "feed"})


def example(example_id: str, opened: datetime, label: str | None, **other: Any) -> dict[str, Any]:
    """A row of `examples` under specification s1 for the session that opens at `opened`."""
    return {
        "spec_id": "s1", "example_id": example_id, "ticker": "AAPL", "session": opened.date(),
        "decision_ts": opened - timedelta(minutes=5),
        "max_input_available_at": opened - timedelta(hours=2),
        "label_start_ts": opened, "label_end_ts": opened + timedelta(hours=6),
        "label": label, "label_reason": "labelled" if label else "unfinished",
        "label_return": {"up": 0.01, "down": -0.01}.get(label or ""), "previous_return": 0.002,
        "availability": "observed", "headline_ids": ["h1"], "story_ids": ["h1"], "input": "text",
        **other,
    }  # fmt: skip


def registered(dataset_id: str, last_sessions: Iterable[Any]) -> dict[str, Any]:
    """A row of `datasets` whose training and validation splits end with these sessions."""
    ends = zip(("train", "validation"), last_sessions, strict=True)
    splits = {name: {"last_session": str(day), "files": []} for name, day in ends}
    return {
        "dataset_id": dataset_id, "spec_id": "s1", "snapshot_id": 1, "created_at": NOW,
        "path": f"datasets/{dataset_id}", "manifest": json.dumps({"splits": splits}),
    }  # fmt: skip


def model(model_id: str, **other: Any) -> Model:
    """A model of data set d1 as its training reports it."""
    return Model(**{
        "model_id": model_id, "dataset_id": "d1", "recipe_name": "tiny", "base_model": "base",
        "adapter_sha256": "c" * 64, "path": Path("models") / model_id, "seed": 0, "recipe": {},
        "environment": {}, "metrics": {"loss": 0.5}, "created_at": NOW, **other,
    })  # fmt: skip
