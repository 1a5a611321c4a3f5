"""Entity masking: does the model read the headline, or recognise the company and its year?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tasks.evaluation.intervals import Interval
from tasks.evaluation.paired import Comparison
from tasks.evaluation.slices import compare
from tasks.evaluation.spec import EvaluationSpec


@dataclass(frozen=True, slots=True)
class MaskingResult:
    """Masked minus plain inputs on the same examples; `memory_suspected` asks for a closer look."""

    comparison: Comparison
    memory_suspected: bool
    words: str


def compare_masked(
    frame: pa.Table, plain: Any, masked: Any, spec: EvaluationSpec | None = None
) -> MaskingResult:
    """Compare P(up) on plain inputs with P(up) on inputs whose tickers and names are masked.

    A loss beyond the interval means that part of the result rests on knowing who is meant, which
    a base model that has read about the outcome would know as well.
    """
    item = compare(frame, masked, plain, spec or EvaluationSpec(), named="plain")
    lost = item.accuracy.below_zero or item.cross_entropy.above_zero
    return MaskingResult(item, lost, masking_words(item.accuracy, item.cross_entropy))


def masking_words(accuracy: Interval, cross_entropy: Interval) -> str:
    """What masked minus plain, in accuracy and in nats, allows one to say."""
    lost = accuracy.below_zero or cross_entropy.above_zero
    finding = "names matter: part of the result may be memory" if lost else "no dependence on names"
    return (
        f"With entities masked: {100 * accuracy.value:+.1f} "
        f"[{100 * accuracy.low:+.1f}, {100 * accuracy.high:+.1f}] points of accuracy, "
        f"{cross_entropy.value:+.4f} [{cross_entropy.low:+.4f}, {cross_entropy.high:+.4f}] nats "
        f"({finding}{'' if lost else ' shown'})."
    )
