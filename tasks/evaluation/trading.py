"""Trading curve after costs: an illustration of the calls, not a strategy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.spec import EvaluationError, TradingSpec

ILLUSTRATION = (
    "Illustration, not a strategy: equal weights, fills at the label's prices, no slippage beyond "
    "the stated cost, no borrowing fee, no limit on size."
)


def trading_curve(frame: pa.Table, p_up: Any, spec: TradingSpec | None = None) -> pa.Table:
    """One row per session: positions, gross, cost, net, and growth of 1 for net, gross, holding.

    `frame`: session and label_return (the tradable window's simple return). Every position opens
    and closes within its own window and so pays the cost twice; capital is spread equally over
    the session's positions, and idle without any. `holding` buys every example's ticker, free of
    cost. Show it only with the words of `ILLUSTRATION`. Raises EvaluationError on null returns.
    """
    spec = spec or TradingSpec()
    if frame["label_return"].null_count:
        raise EvaluationError("A trading curve needs label_return on every example; some are null.")
    sessions, code = np.unique(frame["session"].to_numpy(), return_inverse=True)
    returns = frame["label_return"].to_numpy()
    tilt = np.asarray(p_up, dtype=np.float64) - 0.5
    side = np.where(tilt >= spec.band, 1.0, np.where(tilt <= -spec.band, -1.0, 0.0))
    side = side if spec.short else np.maximum(side, 0.0)
    count = len(sessions)
    positions = np.bincount(code, np.abs(side), count)
    gross = np.bincount(code, side * returns, count) / np.maximum(positions, 1.0)
    cost = np.where(positions > 0, 2 * spec.cost, 0.0)
    holding = np.bincount(code, returns, count) / np.bincount(code, minlength=count)
    return pa.table(
        {
            "session": pa.array(sessions),
            "positions": positions.astype(np.int64),
            "gross": gross,
            "cost": cost,
            "net": gross - cost,
            "growth_net": np.cumprod(1 + gross - cost),
            "growth_gross": np.cumprod(1 + gross),
            "growth_holding": np.cumprod(1 + holding),
        }
    )
