"""Many tickers, many tests: p-values adjusted so that luck among them is not reported as skill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.evaluation.metrics import Floats


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values of Holm (1979): bounds the chance of even one false claim.

    Order is kept; compare with the level. Valid under any dependence between the tests.
    """
    p, order = _ascending(p_values)
    stepped = np.maximum.accumulate(p * np.arange(len(p), 0, -1))
    return _restored(stepped, order)


def benjamini_hochberg(p_values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values of Benjamini and Hochberg (1995): bounds the share of false claims.

    Order is kept. Valid for independent or positively dependent tests.
    """
    p, order = _ascending(p_values)
    scaled = p * len(p) / np.arange(1, len(p) + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    return _restored(stepped, order)


def _ascending(p_values: Sequence[float] | Floats) -> tuple[Floats, np.ndarray]:
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    return p[order], order


def _restored(adjusted: Floats, order: np.ndarray) -> Floats:
    result = np.empty_like(adjusted)
    result[order] = np.minimum(adjusted, 1.0)
    return result
