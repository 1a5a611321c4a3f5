"""Metrics of P(up), as functions of per-session sums: one formula serves point and bootstrap."""

from __future__ import annotations

from math import inf

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "mcc",
    "auroc",
    "cross_entropy",
    "brier",
    "ece",
    "calibration_gap",
    "predicted_up_share",
    "up_share",
)
RANGES = {"mcc": (-1.0, 1.0), "calibration_gap": (-1.0, 1.0), "cross_entropy": (0.0, inf)}
"""What a metric can be at all; the others are shares, from 0 to 1."""

ROWS, CORRECT, ENTROPY = 0, 4, 5
"""Columns of the sums."""

_PLAIN = 7  # leading columns of the sums; the reliability bins follow
_CELLS = 4_000_000  # upper bound of one block of values times draws (32 MB)


def called_up(p_up: Floats) -> Bools:
    """The direction a probability stands for: up from one half on."""
    return p_up >= 0.5


def cross_entropies(label: Bools, p_up: Floats, clip: float) -> Floats:
    """-ln of the probability given to what happened, per row, in nats."""
    bounded = np.clip(p_up, clip, 1.0 - clip)
    return np.asarray(-np.log(np.where(label, bounded, 1.0 - bounded)), dtype=np.float64)


def session_sums(
    label: Bools, p_up: Floats, session: Ints, sessions: int, *, bins: int, clip: float
) -> Floats:
    """Everything but the ranks that the metrics need, summed by session: shape (sessions, k).

    `session` holds codes 0..sessions-1. Columns: rows, ups, true ups called up, rows called up,
    correct calls, cross-entropy, squared error; then per reliability bin the sum of P(up) minus
    the number of ups. The sums of several sessions, weighted or not, are the sums of their union.
    """
    call = called_up(p_up)
    columns = (
        np.ones_like(p_up),
        label,
        label & call,
        call,
        label == call,
        cross_entropies(label, p_up, clip),
        (p_up - label) ** 2,
    )
    plain = [np.bincount(session, weights=column, minlength=sessions) for column in columns]
    cell = session * bins + bin_of(p_up, bins)
    gaps = np.bincount(cell, weights=p_up - label, minlength=sessions * bins)
    return np.column_stack([*plain, gaps.reshape(sessions, bins)])


def bin_of(p_up: Floats, bins: int) -> Ints:
    """The reliability bin of each probability: equal widths, the last one closed at 1."""
    return np.minimum((p_up * bins).astype(np.int64), bins - 1)


def from_sums(sums: Floats) -> dict[str, Floats]:
    """Metrics from sums of shape (m, k): one value per row of `sums`, NaN where undefined.

    MCC is Matthews (1975), 0 when a margin is empty, as scikit-learn has it. ECE is the expected
    calibration error of Guo et al. (2017), applied to P(up) instead of top-class confidence. The
    calibration gap is the mean P(up) less the share of ups.
    """
    n, ups, hits, calls, correct, entropy, squares = sums[:, :_PLAIN].T
    downs, misses = n - ups, ups - hits
    false_alarms = calls - hits
    rejections = downs - false_alarms
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(ups * downs * calls * (n - calls))
        covariance = hits * rejections - false_alarms * misses
        return {
            "accuracy": correct / n,
            "balanced_accuracy": (hits / ups + rejections / downs) / 2,
            "mcc": np.where(spread > 0, covariance / spread, np.where(n > 0, 0.0, np.nan)),
            "cross_entropy": entropy / n,
            "brier": squares / n,
            "ece": np.abs(sums[:, _PLAIN:]).sum(axis=1) / n,
            "calibration_gap": sums[:, _PLAIN:].sum(axis=1) / n,
            "predicted_up_share": calls / n,
            "up_share": ups / n,
        }


def ranks(values: Floats, group: Ints | None = None) -> Floats:
    """Rank of each value among those of its group, from 0.5 to n - 0.5; ties share their mean.

    `group`: codes, one per value; all are one group without.
    """
    own = np.zeros(len(values), dtype=np.int64) if group is None else group
    order = np.lexsort((values, own))
    value, code = values[order], own[order]
    first = np.append(True, (value[1:] != value[:-1]) | (code[1:] != code[:-1]))[: len(order)]
    run = np.cumsum(first) - 1
    alike = np.bincount(run)
    middle = np.cumsum(alike) - alike / 2
    found = np.empty(len(order))
    found[order] = middle[run] - np.searchsorted(code, code, side="left")
    return found


def auroc(label: Bools, p_up: Floats, session: Ints, weights: Floats) -> Floats:
    """Area under the ROC curve for every row of `weights`, shape (m, sessions); ties count half.

    The Mann-Whitney form: the share of (up, down) pairs ranked rightly, each row counted as often
    as its session was drawn. NaN where a draw holds one class only.
    """
    from scipy.sparse import csr_array

    values, rank = np.unique(p_up, return_inverse=True)
    shape = (len(values), weights.shape[1])
    up_at = csr_array((label.astype(np.float64), (rank, session)), shape=shape)
    down_at = csr_array(((~label).astype(np.float64), (rank, session)), shape=shape)
    block = max(1, _CELLS // len(values))
    parts = []
    for first in range(0, len(weights), block):
        drawn = np.ascontiguousarray(weights[first : first + block].T)
        ups, downs = up_at @ drawn, down_at @ drawn
        below = np.cumsum(downs, axis=0) - downs / 2
        pairs = ups.sum(axis=0) * downs.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            parts.append(np.where(pairs > 0, (ups * below).sum(axis=0) / pairs, np.nan))
    return np.concatenate(parts)
