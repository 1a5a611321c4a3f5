"""Stored evaluation rows back into verdicts, so that a report says what the evaluation said."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

import pyarrow as pa

from tasks.evaluation.intervals import Interval
from tasks.evaluation.metrics import METRICS
from tasks.evaluation.paired import Comparison
from tasks.evaluation.spec import REFERENCE, TRIVIAL, EvaluationSpec
from tasks.evaluation.verdict import Verdict, judge

WHOLE = "all"

Cell = Mapping[str, Any]
"""One row of `report_evaluations.sql`."""


def read_verdicts(evaluations: pa.Table, spec: EvaluationSpec) -> tuple[Verdict, ...]:
    """The verdict on every model among `evaluations` (one split), fine-tuned ones first.

    `evaluations`: rows of `report_evaluations.sql`. Predictors without a model are judged only
    when no model was evaluated.
    """
    found: dict[str, dict[str, Interval]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    models: set[str] = set()
    for row in evaluations.to_pylist():
        if row["slice"] != WHOLE:
            continue
        name = row["predictor"]
        found.setdefault(name, {})[row["metric"]] = Interval(
            *(nan if row[key] is None else row[key] for key in ("value", "ci_low", "ci_high"))
        )
        sizes[name] = (row["n_examples"], row["n_sessions"])
        if row["model_id"] is not None and name not in TRIVIAL:
            models.add(name)
    judged = models or {name for name in found if name not in TRIVIAL}
    return tuple(
        judge(
            name,
            _all_metrics(found[name]),
            _comparisons(found[name]),
            spec,
            rows=sizes[name][0],
            sessions=sizes[name][1],
        )
        for name in sorted(judged)
    )


def _all_metrics(stored: Mapping[str, Interval]) -> dict[str, Interval]:
    unknown = Interval(nan, nan, nan)
    return {metric: stored.get(metric, unknown) for metric in METRICS}


def _comparisons(stored: Mapping[str, Interval]) -> list[Comparison]:
    def plain(name: str) -> float:
        return stored[name].value if name in stored else nan

    return [
        Comparison(
            baseline=baseline,
            accuracy=stored[f"accuracy_vs_{baseline}"],
            cross_entropy=stored[f"cross_entropy_vs_{baseline}"],
            mcnemar_p=plain(f"mcnemar_p_vs_{baseline}"),
            rows_needed=plain(f"rows_needed_vs_{baseline}"),
            detectable_edge=plain(f"detectable_edge_vs_{baseline}"),
        )
        for baseline in (*TRIVIAL, *REFERENCE)
        if f"accuracy_vs_{baseline}" in stored
    ]


def in_order(name: str, verdict: Verdict | None) -> tuple[int, str]:
    """Candidate first, then other models, the reference learner, and the trivial baselines."""
    if verdict is not None and name == verdict.predictor:
        return (0, name)
    if name in TRIVIAL:
        return (3 + len(TRIVIAL) - TRIVIAL.index(name), name)
    return (2 if name in REFERENCE else 1, name)
