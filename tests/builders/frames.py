"""Examples with known structure for the evaluation tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pytest

MakeFrame = Callable[..., pa.Table]


@pytest.fixture
def make_frame() -> MakeFrame:
    """Builds examples: `sessions` days times `tickers` names, outcomes from a seeded generator."""

    def build(
        sessions: int = 60,
        tickers: int = 5,
        *,
        up_share: float = 0.5,
        seed: int = 0,
        horizon: int = 1,
        first: date = date(2024, 1, 1),
    ) -> pa.Table:
        rng = np.random.default_rng(seed)
        n = sessions * tickers
        days = [first + timedelta(days=k) for k in range(sessions)]
        opens = [datetime.combine(day, time(14, 30), UTC) for day in days]
        closes = [opened + timedelta(hours=6.5, days=horizon - 1) for opened in opens]
        label = rng.random(n) < up_share
        return pa.table(
            {
                "example_id": [f"e{k}" for k in range(n)],
                "ticker": [f"T{k % tickers}" for k in range(n)],
                "session": [days[k // tickers] for k in range(n)],
                "label_start_ts": [opens[k // tickers] for k in range(n)],
                "label_end_ts": [closes[k // tickers] for k in range(n)],
                "label_up": label,
                "previous_return": rng.normal(0, 0.01, n),
                "availability": np.where(rng.random(n) < 0.5, "observed", "asserted"),
                "input": ["shares rally" if up else "shares slump" for up in label],
            }
        )

    return build
