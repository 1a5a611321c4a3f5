"""Examples with known structure: as an evaluation reads them, and as the warehouse stores them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from warehouse.tables.batches import BARS

MakeFrame = Callable[..., pa.Table]


@pytest.fixture
def make_frame() -> MakeFrame:
    """Builds examples: `sessions` days times `tickers` names, outcomes from a seeded generator."""

    def build(
        sessions: int = 60, tickers: int = 5, *, up_share: float = 0.5, seed: int = 0
    ) -> pa.Table:
        rng = np.random.default_rng(seed)
        n = sessions * tickers
        days = [date(2024, 1, 1) + timedelta(days=k) for k in range(sessions)]
        label = rng.random(n) < up_share
        return pa.table(
            {
                "example_id": [f"e{k}" for k in range(n)],
                "ticker": [f"T{k % tickers}" for k in range(n)],
                "session": [days[k // tickers] for k in range(n)],
                "label_up": label,
                "previous_return": rng.normal(0, 0.01, n),
                "availability": np.where(rng.random(n) < 0.5, "observed", "asserted"),
                "input": ["shares rally" if up else "shares slump" for up in label],
            }
        )

    return build


def example_row(
    example_id: str, opened: datetime, label: str | None, *, ticker: str = "AAPL", **other: Any
) -> dict[str, Any]:
    """One example of the spec s1, its label window from `opened` on; unfinished without a label."""
    row = {
        "spec_id": "s1",
        "example_id": example_id,
        "ticker": ticker,
        "session": opened.date(),
        "decision_ts": opened - timedelta(minutes=5),
        "max_input_available_at": opened - timedelta(hours=2),
        "label_start_ts": opened,
        "label_end_ts": opened + timedelta(hours=6),
        "label": label,
        "label_reason": "labelled" if label else "unfinished",
        "label_return": {"up": 0.01, "down": -0.01}.get(label or ""),
        "previous_return": 0.0,
        "availability": "observed",
        "headline_ids": ["h"],
        "story_ids": ["h"],
        "input": "text",
    }
    return row | other


def dataset_row(dataset_id: str, made: datetime, train: date, validation: date) -> dict[str, Any]:
    """A data set of the spec s1 by the last sessions of its train and validation splits."""
    last = {"train": train, "validation": validation}
    splits = {name: {"last_session": str(day), "files": []} for name, day in last.items()}
    return {
        "dataset_id": dataset_id,
        "spec_id": "s1",
        "snapshot_id": 1,
        "created_at": made,
        "path": f"datasets/{dataset_id}",
        "manifest": json.dumps({"splits": splits}),
    }


def bar_table(columns: dict[str, Any], source: str, *, reach: float) -> pa.Table:
    """Bars as a source delivers them: `columns` are ticker, session, open, close and volume.

    High and low lie the share `reach` beyond open and close.
    """
    size = len(columns["ticker"])
    made = {
        "high": np.maximum(columns["open"], columns["close"]) * (1 + reach),
        "low": np.minimum(columns["open"], columns["close"]) * (1 - reach),
        "vendor_adj_close": columns["close"],
        "basis_date": columns["session"],
        "source": [source] * size,
        "payload_id": ["a" * 64] * size,
    }
    return pa.Table.from_pydict(columns | made, schema=BARS)


def recorded(bars: pa.Table, at: datetime) -> pa.Table:
    """The bars as the warehouse stores them: their first vintage, recorded at `at` (UTC)."""
    size = bars.num_rows
    stamped = bars.append_column("recorded_at", pa.array([at] * size))
    return stamped.append_column("vintage", pa.array([1] * size, pa.int32()))


def headline_table(ids: list[str], titles: Any, published: Any, source: str) -> pa.Table:
    """Synthetic headlines, each a story of its own, observed when they were published (UTC)."""
    size = len(ids)
    return pa.table(
        {
            "headline_id": ids,
            "story_id": ids,
            "source": [source] * size,
            "title": titles,
            "published_at": published,
            "first_seen_at": published,
            "available_at": published,
            "availability": ["observed"] * size,
            "synthetic": [True] * size,
            "payload_id": ["b" * 64] * size,
            "revision": pa.array([1] * size, pa.int32()),
        }
    )
