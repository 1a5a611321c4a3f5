"""Recall probe: what a base model knows of outcomes without any news, and skill that comes from it.

A base model may have read how a session ended. Asked about ticker and session alone it has nothing
but its memory to answer with, so its P(up) then is a measurement of that memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.evaluation.intervals import Interval, label_window, resampling
from tasks.evaluation.metrics import Floats, called_up, ranks
from tasks.evaluation.slices import measured, row_sets
from tasks.evaluation.spec import EvaluationSpec

RECALL = "recall_auroc"
THROUGH = "accuracy_through_memory"
"""Metrics of a language model: of its base's recall, and what of its skill goes through it."""

_PROBE = "recall_probe"


@dataclass(frozen=True, slots=True)
class Memory:
    """What a base model recalls, and how much of a model's accuracy goes through it.

    `recall`: AUROC of the base model's P(up) without news. `through`: see `through_memory`.
    `examples`: how many were asked about.
    """

    recall: Interval
    through: Interval
    examples: int

    @property
    def found(self) -> bool:
        """Whether the base model recalls outcomes: the AUROC's interval lies above one half."""
        return self.recall.low > 0.5

    @property
    def followed(self) -> bool:
        """Whether skill follows memory: a share of it goes through what the base recalls."""
        return self.through.above_zero

    @property
    def words(self) -> str:
        """Both numbers, and what they say."""
        recall, through = self.recall, self.through
        finding = (
            "skill follows memory"
            if self.followed
            else "memory is there, and skill is not shown to follow it"
            if self.found
            else "no memory found"
        )
        return (
            f"Without news its base model ranks {self.examples:,} of these outcomes with AUROC "
            f"{recall.value:.3f} [{recall.low:.3f}, {recall.high:.3f}]; {100 * through.value:+.1f} "
            f"[{100 * through.low:+.1f}, {100 * through.high:+.1f}] points of accuracy go through "
            f"what it recalls ({finding})."
        )


def recall_by_slice(
    frame: pa.Table, recalled: Any, spec: EvaluationSpec
) -> dict[str, tuple[Interval, int, int]]:
    """AUROC of the recall probe by slice, with its interval, rows and sessions.

    `frame`: examples as for `evaluate`; `recalled`: the base model's P(up) without news, aligned to
    it. Slices: all, each period, and before and after the knowledge cutoff where that is known.
    """
    p_up = np.asarray(recalled, dtype=np.float64)
    found = {}
    for name, rows in row_sets(frame, spec.model_copy(update={"by_ticker": False})).items():
        if name == "all" or name.startswith(("period=", "base_cutoff=")):
            part = measured(name, frame.take(rows), {_PROBE: p_up[rows]}, spec, metrics=("auroc",))
            found[name] = (part.estimates[_PROBE]["auroc"], len(rows), part.sessions)
    return found


def through_memory(frame: pa.Table, p_up: Any, recalled: Any, spec: EvaluationSpec) -> Interval:
    """Points of a model's accuracy that go through what its base recalls: the interaction test.

    With outcome y and call m as +1 or -1, accuracy is (1 + E[ym]) / 2, and the skill in it is
    cov(y, m) / 2. The law of total covariance parts that at the rank r of the recalled P(up):
    cov(E[y|r], E[m|r]), the part where the model leans as memory does and memory is right, and the
    rest, skill at equal memory. The first part, linear in r, is
    cov(y, r) cov(m, r) / (2 var(r)). Where memory knows nothing it is nought however much the model
    leans as its base does; comparing accuracy where the probe is right with accuracy where it is
    wrong would not be, for two predictors that call alike are right together. Bounds are from
    blocks of sessions. With `decided_by = "cross_entropy"` m is 2 P(up) - 1.

    `frame`: label_up, session, label_start_ts, label_end_ts; `p_up`, `recalled` aligned to it.
    """
    up = np.where(np.asarray(frame["label_up"].to_numpy(), dtype=bool), 1.0, -1.0)
    own = np.asarray(p_up, dtype=np.float64)
    lean = 2 * own - 1 if spec.decided_by == "cross_entropy" else np.where(called_up(own), 1.0, -1)
    rank = ranks(np.asarray(recalled, dtype=np.float64)) / len(up) - 0.5
    sessions, code = np.unique(frame["session"].to_numpy(), return_inverse=True)

    def by_session(*columns: Floats) -> Floats:
        return np.column_stack([np.bincount(code, one, len(sessions)) for one in columns])

    products = [(one - one.mean()) * rank for one in (up, lean)]
    drawn = resampling(by_session(*products), label_window(frame), spec, _PROBE)
    sums = by_session(np.ones_like(up), up, lean, rank, up * rank, lean * rank, rank**2)
    totals = drawn.weights @ sums
    y, m, r, yr, mr, rr = (totals[:, 1:] / totals[:, :1]).T
    spread = rr - r**2
    flat = spread <= 1e-12
    shares = (yr - y * r) * (mr - m * r) / (2 * np.where(flat, 1.0, spread))
    # Differences of means leave dust where the exact answer is zero.
    return drawn.interval(np.where(np.abs(shares) < 1e-12, 0.0, shares)).within(-0.5, 0.5)
