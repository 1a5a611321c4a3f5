"""Ranking across names: information coefficient and turnover, by session, with block intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.evaluate import Key, whole_rows
from tasks.evaluation.intervals import Interval, label_window, resampling
from tasks.evaluation.metrics import Floats, Ints, ranks
from tasks.evaluation.spec import EvaluationSpec

COEFFICIENT, TURNOVER = "information_coefficient", "ranking_turnover"

LEAST_NAMES = 3
"""Names a session must hold for its ranking to count: two can only agree or not."""


def ranked(frame: pa.Table, predictor: str, p_up: Any, spec: EvaluationSpec) -> pa.Table:
    """Rows of the evaluation table: information coefficient and turnover, where there are names.

    `frame`: the columns that both need. Schema: `ROWS`.
    """
    coefficient = information_coefficient(frame, p_up, spec)
    traded = turnover(frame, p_up, spec)
    named = ((COEFFICIENT, coefficient), (TURNOVER, traded))
    found: dict[Key, Interval] = {(name, None): item for name, item in named if item is not None}
    return whole_rows(frame, predictor, found)


def information_coefficient(frame: pa.Table, p_up: Any, spec: EvaluationSpec) -> Interval | None:
    """Mean over sessions of the rank correlation between P(up) and the realised return.

    Spearman (1904) across the names of each session with three or more; a session whose P(up) or
    returns are all equal ranks nothing and counts as 0. `frame`: session, label_return,
    label_start_ts and label_end_ts. None where no session has enough names with a return.
    """
    returns = frame["label_return"].cast(pa.float64()).to_numpy()
    known = np.isfinite(returns)
    _, code = np.unique(frame["session"].to_numpy(), return_inverse=True)
    known &= np.bincount(code, known)[code] >= LEAST_NAMES
    if not known.any():
        return None
    kept = frame.filter(pa.array(known))
    _, code = np.unique(kept["session"].to_numpy(), return_inverse=True)
    mine, theirs = (
        _centred(np.asarray(values, dtype=np.float64)[known], code) for values in (p_up, returns)
    )
    shared, own, other = (
        np.bincount(code, product) for product in (mine * theirs, mine**2, theirs**2)
    )
    norm = np.sqrt(own * other)
    by_session = np.divide(shared, norm, out=np.zeros(len(norm)), where=norm > 1e-12)
    return _mean(by_session, np.ones(len(norm)), kept, spec).within(-1.0, 1.0)


def turnover(frame: pa.Table, p_up: Any, spec: EvaluationSpec) -> Interval | None:
    """Mean share of a ranked book that is traded from one session to the next.

    The book of a session holds each name by its centred rank, long and short sides of one half
    each; the turnover is half the sum of absolute changes: 0 where the ranks stay, 1 where
    the whole book is reversed or replaced. A session of fewer than three names, or without an
    order, holds nothing and is passed over. `frame`: ticker, session, label_start_ts and
    label_end_ts. None with fewer than two such sessions.
    """
    _, code = np.unique(frame["session"].to_numpy(), return_inverse=True)
    names, ticker = np.unique(frame["ticker"].to_numpy(), return_inverse=True)
    weight = _centred(np.asarray(p_up, dtype=np.float64), code)
    size = np.bincount(code, np.abs(weight))
    held = (np.bincount(code) >= LEAST_NAMES) & (size > 1e-12)
    rows = held[code]
    if np.count_nonzero(held) < 2:
        return None
    book = np.cumsum(held) - 1
    traded = _traded(book[code[rows]], ticker[rows], (weight / size[code].clip(1e-12))[rows], names)
    kept = frame.filter(pa.array(rows))
    changed = np.append(0.0, traded)
    return _mean(changed, np.append(0.0, np.ones(len(traded))), kept, spec).within(0.0, 1.0)


def _traded(book: Ints, ticker: Ints, weight: Floats, names: np.ndarray) -> Floats:
    """Half the absolute change of each name's weight, summed by session, from the second on."""
    from scipy.sparse import csr_array

    weights = csr_array((weight, (book, ticker)), shape=(int(book.max()) + 1, len(names)))
    return np.asarray(abs(weights[1:] - weights[:-1]).sum(axis=1), dtype=np.float64) / 2


def _centred(values: Floats, code: Ints) -> Floats:
    """Ranks within each session less their mean, which is half the number of its names."""
    return ranks(values, code) - np.bincount(code)[code] / 2


def _mean(values: Floats, counts: Floats, frame: pa.Table, spec: EvaluationSpec) -> Interval:
    """The mean of one value a session, with bounds from blocks of sessions."""
    mean = values.sum() / counts.sum()
    series = (values - mean * counts)[:, None]
    drawn = resampling(series, label_window(frame), spec, "ranking")
    totals = drawn.weights @ np.column_stack([values, counts])
    return drawn.interval(totals[:, 0] / np.maximum(totals[:, 1], 1.0))
