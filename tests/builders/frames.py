"""Examples with known structure for the evaluation tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

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
