"""What stands behind the verdict on the report: power, tickers, calibration, masking, folds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from tasks.evaluation.robustness import CALIBRATED, LOOKED_AT, MASKED, PLAIN
from tasks.evaluation.spec import MAJORITY, REFERENCE, TRIVIAL, EvaluationSpec
from tasks.evaluation.verdict import Verdict
from tasks.report.markup import predictor_label
from tasks.report.verdicts import WHOLE, Cell, in_order

Metrics = Mapping[str, Mapping[str, Cell]]
"""Predictor to metric to cell, on the whole split."""


def other_ways(metrics: Metrics, verdict: Verdict | None, way: str) -> list[dict[str, Any]]:
    """Each predictor as it is and `way` (calibrated, masked), with the paired differences."""
    return [
        {
            "label": predictor_label(name),
            "strong": verdict is not None and name == verdict.predictor,
            **{metric: found.get(metric) for metric in LOOKED_AT},
            **{f"{metric}_then": found[f"{metric}_{way}"] for metric in LOOKED_AT},
            "accuracy_change": found[f"accuracy_{way}_vs_{PLAIN}"],
            "cross_entropy_change": found[f"cross_entropy_{way}_vs_{PLAIN}"],
        }
        for name, found in sorted(metrics.items(), key=lambda item: in_order(item[0], verdict))
        if f"accuracy_{way}_vs_{PLAIN}" in found
    ]


def second_looks(
    evaluations: pa.Table,
    walked: pa.Table,
    metrics: Metrics,
    verdict: Verdict | None,
    spec: EvaluationSpec,
) -> dict[str, Any]:
    """Every table of the section; an empty list where there was no such look."""
    return {
        "power": _power(metrics, verdict),
        "power_share": spec.power,
        "edge": spec.claimed_edge,
        "tickers": _tickers(evaluations, verdict),
        "chance": 1 - spec.level,
        "calibrated": other_ways(metrics, verdict, CALIBRATED),
        "masked": other_ways(metrics, verdict, MASKED),
        "folds": _folds(walked),
    }


def _power(metrics: Metrics, verdict: Verdict | None) -> list[dict[str, Any]]:
    """What difference to each baseline these rows could have shown."""
    own = metrics[verdict.predictor] if verdict else {}
    return [
        {
            "label": predictor_label(baseline),
            "detectable": own[f"detectable_edge_vs_{baseline}"]["value"],
            "rows": own[f"rows_needed_vs_{baseline}"]["value"],
        }
        for baseline in (*TRIVIAL, *REFERENCE)
        if f"detectable_edge_vs_{baseline}" in own
    ]


def _tickers(evaluations: pa.Table, verdict: Verdict | None) -> list[dict[str, Any]]:
    """The judged predictor against the majority class in each ticker, p-values corrected."""
    found: dict[str, dict[str, Cell]] = {}
    for row in evaluations.to_pylist():
        if verdict and row["predictor"] == verdict.predictor and row["slice"].startswith("ticker="):
            found.setdefault(row["slice"].partition("=")[2], {})[row["metric"]] = row
    return [
        {
            "ticker": ticker,
            "n_examples": cells["accuracy"]["n_examples"],
            "accuracy": cells["accuracy"],
            "lead": cells[f"accuracy_vs_{MAJORITY}"],
            **{
                kind: cells[f"mcnemar_p{kind}_vs_{MAJORITY}"]["value"]
                for kind in ("", "_holm", "_bh")
            },
        }
        for ticker, cells in sorted(found.items())
        if f"mcnemar_p_holm_vs_{MAJORITY}" in cells
    ]


def _folds(walked: pa.Table) -> list[dict[str, Any]]:
    """Accuracy of every predictor in each walk-forward fold, the pooled ones last."""
    found: dict[str, dict[str, Cell]] = {}
    for row in walked.to_pylist():
        if row["metric"] == "accuracy" and (
            row["slice"] == WHOLE or row["slice"].startswith("fold=")
        ):
            found.setdefault(row["slice"], {})[row["predictor"]] = row
    names = sorted({name for cells in found.values() for name in cells}, key=_as_baseline)
    return [
        {
            "label": "all folds" if name == WHOLE else name.partition("=")[2],
            "strong": name == WHOLE,
            "n_examples": next(iter(cells.values()))["n_examples"],
            "cells": [{"label": predictor_label(who), "cell": cells.get(who)} for who in names],
        }
        for name, cells in sorted(found.items(), key=lambda item: (item[0] == WHOLE, item[0]))
    ]


def _as_baseline(name: str) -> tuple[int, str]:
    return in_order(name, None)
