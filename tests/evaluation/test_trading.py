"""Hazards of a trading curve: costs forgotten, capital counted twice."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from tasks.evaluation.trading import TradingSpec, trading_curve


def test_trading_curve_matches_a_case_worked_by_hand() -> None:
    frame = pa.table(
        {
            "session": [date(2024, 1, 2), date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 4)],
            "label_return": [0.02, -0.01, -0.03, 0.05],
        }
    )
    curve = trading_curve(frame, [0.8, 0.2, 0.9, 0.55], TradingSpec(cost=0.001, band=0.1))
    assert curve["positions"].to_pylist() == [2, 1, 0]
    assert curve["gross"].to_pylist() == pytest.approx([0.015, -0.03, 0.0])
    assert curve["net"].to_pylist() == pytest.approx([0.013, -0.032, 0.0])
    assert curve["growth_net"].to_pylist()[-1] == pytest.approx(1.013 * 0.968)
    assert curve["growth_holding"].to_pylist()[-1] == pytest.approx(1.005 * 0.97 * 1.05)


def test_without_short_positions_only_rises_are_bought() -> None:
    frame = pa.table({"session": [date(2024, 1, 2)] * 2, "label_return": [0.02, -0.01]})
    curve = trading_curve(frame, [0.8, 0.2], TradingSpec(cost=0.0, short=False))
    assert curve["gross"].to_pylist() == pytest.approx([0.02])
