"""Robustness checks on the report: power, tickers, calibration, masking, walk-forward folds."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tasks.evaluation.memory import RECALL
from tasks.evaluation.robustness import CALIBRATED, MASKED, PLAIN, VARIANT_METRICS
from tasks.evaluation.spec import MAJORITY, REFERENCE, TRIVIAL, EvaluationSpec, predictor_label
from tasks.evaluation.verdict import WHOLE, Cell, Verdict, cells_by_slice
from tasks.report.page.collect import Metrics, in_order


def _variants(metrics: Metrics, verdict: Verdict | None, name: str) -> list[dict[str, Any]]:
    """Each predictor as it is and as the variant `name`, with the paired differences."""
    return [
        {
            "label": predictor_label(predictor),
            "strong": verdict is not None and predictor == verdict.predictor,
            **{metric: found.get((metric, None)) for metric in VARIANT_METRICS},
            **{f"{metric}_then": found[f"{metric}_{name}", None] for metric in VARIANT_METRICS},
            "accuracy_change": found[f"accuracy_{name}", PLAIN],
            "cross_entropy_change": found[f"cross_entropy_{name}", PLAIN],
        }
        for predictor, found in sorted(metrics.items(), key=lambda item: in_order(item[0], verdict))
        if (f"accuracy_{name}", PLAIN) in found
    ]


def robustness_tables(
    evaluations: pa.Table,
    walked: pa.Table,
    metrics: Metrics,
    verdict: Verdict | None,
    spec: EvaluationSpec,
) -> dict[str, Any]:
    """Every table of the section; an empty list where there was no such check."""
    return {
        "power": _power(metrics, verdict),
        "power_share": spec.power,
        "edge": spec.claimed_edge,
        "tickers": _tickers(evaluations, verdict),
        "chance": 1 - spec.level,
        "calibrated": _variants(metrics, verdict, CALIBRATED),
        "masked": _variants(metrics, verdict, MASKED),
        "folds": _folds(walked),
        "recall": _recall(evaluations, verdict),
    }


def _recall(evaluations: pa.Table, verdict: Verdict | None) -> list[dict[str, Any]]:
    """What the verdict's base model recalls without news, by slice, the whole first."""
    found = cells_by_slice(evaluations, verdict.predictor) if verdict else {}
    return [
        {"slice": name.replace("=", " ").replace("_", " "), "auroc": cells[RECALL, None]}
        for name, cells in sorted(found.items())
        if (RECALL, None) in cells
    ]


def _power(metrics: Metrics, verdict: Verdict | None) -> list[dict[str, Any]]:
    """What difference to each baseline these rows could have shown."""
    own = metrics[verdict.predictor] if verdict else {}
    return [
        {
            "label": predictor_label(baseline),
            "detectable": own["detectable_edge", baseline]["value"],
            "rows": own["rows_needed", baseline]["value"],
        }
        for baseline in (*TRIVIAL, *REFERENCE)
        if ("detectable_edge", baseline) in own
    ]


def _tickers(evaluations: pa.Table, verdict: Verdict | None) -> list[dict[str, Any]]:
    """The candidate against the majority class in each ticker, p-values corrected."""
    found = cells_by_slice(evaluations, verdict.predictor) if verdict else {}
    return [
        {
            "ticker": name.partition("=")[2],
            "n_examples": cells["accuracy", None]["n_examples"],
            "accuracy": cells["accuracy", None],
            "lead": cells["accuracy", MAJORITY],
            **{kind: cells[f"mcnemar_p{kind}", MAJORITY]["value"] for kind in ("", "_holm", "_bh")},
        }
        for name, cells in sorted(found.items())
        if name.startswith("ticker=") and ("mcnemar_p_holm", MAJORITY) in cells
    ]


def _folds(walked: pa.Table) -> list[dict[str, Any]]:
    """Accuracy of every predictor in each walk-forward fold, the pooled ones last."""
    found: dict[str, dict[str, Cell]] = {}
    for row in walked.to_pylist():
        if (row["metric"], row["baseline"]) == ("accuracy", None) and (
            row["slice"] == WHOLE or row["slice"].startswith("fold=")
        ):
            found.setdefault(row["slice"], {})[row["predictor"]] = row
    names = sorted(
        {name for cells in found.values() for name in cells}, key=lambda name: in_order(name, None)
    )
    return [
        {
            "label": "all folds" if name == WHOLE else name.partition("=")[2],
            "strong": name == WHOLE,
            "n_examples": next(iter(cells.values()))["n_examples"],
            "cells": [{"label": predictor_label(one), "cell": cells.get(one)} for one in names],
        }
        for name, cells in sorted(found.items(), key=lambda item: (item[0] == WHOLE, item[0]))
    ]
