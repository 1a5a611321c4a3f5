"""Walk-forward: each fold's model judged on the sessions after its training, pooled into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.evaluation.evaluate import Evaluation, evaluate
from tasks.evaluation.metrics import Floats
from tasks.evaluation.spec import EvaluationError, EvaluationSpec


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold's test examples and each predictor's P(up) on them, fitted on earlier sessions.

    `trained_until` is the last session any predictor of the fold was fitted or tuned on.
    """

    name: str
    trained_until: date
    frame: pa.Table
    predictions: Mapping[str, Any]


def walk_forward(folds: Sequence[Fold], spec: EvaluationSpec | None = None) -> Evaluation:
    """Pool the folds' test sessions and judge them together, with one slice `fold=NAME` each.

    Raises EvaluationError when a fold was trained on its own test sessions, when two folds test
    the same session, or when the folds do not have the same predictors.
    """
    if not folds:
        raise EvaluationError("Walk-forward got no fold; expected at least one.")
    seen: dict[Any, str] = {}
    for fold in folds:
        sessions = pc.unique(fold.frame["session"]).to_pylist()
        if min(sessions) <= fold.trained_until:
            raise EvaluationError(
                f"Fold {fold.name!r} was trained until {fold.trained_until} and tests "
                f"{min(sessions)}; a test session must come after all training."
            )
        shared = sorted(set(sessions) & seen.keys())
        if shared:
            raise EvaluationError(
                f"Folds {seen[shared[0]]!r} and {fold.name!r} both test {shared[0]}; "
                "pooled rows would count twice. Make test spans disjoint."
            )
        if fold.predictions.keys() != folds[0].predictions.keys():
            raise EvaluationError(
                f"Fold {fold.name!r} has predictors {sorted(fold.predictions)}, the first has "
                f"{sorted(folds[0].predictions)}; expected the same."
            )
        seen |= dict.fromkeys(sessions, fold.name)
    frames = [
        fold.frame.append_column("fold", pa.array([fold.name] * fold.frame.num_rows))
        for fold in folds
    ]
    pooled: dict[str, Floats] = {
        name: np.concatenate([np.asarray(fold.predictions[name]) for fold in folds])
        for name in folds[0].predictions
    }
    return evaluate(pa.concat_tables(frames), pooled, spec)


def with_base_cutoff(frame: pa.Table, cutoff: date) -> pa.Table:
    """Mark each example as before or after the base model's training data end.

    A base model may have read what happened until `cutoff`; only the slice `base_cutoff=after`
    is free of its memory.
    """
    after = pc.greater(frame["session"], pa.scalar(cutoff))
    return frame.append_column("base_cutoff", pc.if_else(after, "after", "before"))
