"""The report's plots, from what was collected for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from tasks.evaluation.spec import MAJORITY, REFERENCE, ZERO_SHOT
from tasks.evaluation.trading import trading_curve
from tasks.evaluation.verdict import Verdict
from tasks.report import plots
from tasks.report.markup import predictor_label
from tasks.report.page.collect import ReportData
from tasks.report.plots import Estimate
from tasks.report.verdicts import Cell, in_order

DRAWN_FROM = 5
"""Rows a tenth of P(up) must hold to be drawn; fewer say nothing."""


def report_plots(
    data: ReportData,
    metrics: Mapping[str, Mapping[str, Cell]],
    verdict: Verdict | None,
    training: Mapping[str, Any],
) -> dict[str, Markup | None]:
    """Every plot of the report by name; None where there is nothing to draw.

    `metrics`: predictor to metric to cell on the whole test split; `training`: the model's
    metrics document.
    """
    curve, validation = (_curve(training, key) for key in ("loss_curve", "validation_curve"))
    loss = plots.loss_curve("loss", "Loss by step", curve, validation) if curve else None
    return {
        "accuracy": _accuracy(metrics, verdict) if metrics else None,
        "differences": _differences(verdict) if verdict and verdict.comparisons else None,
        "reliability": _reliability(data.reliability, verdict),
        "loss": loss,
        "growth": _growth(data, verdict),
        "months": plots.months("months", "Records by month", data.months.to_pylist())
        if data.months.num_rows
        else None,
    }


def _curve(training: Mapping[str, Any], key: str) -> list[tuple[float, float]]:
    return [(float(step), float(loss)) for step, loss in training.get(key) or ()]


def _accuracy(metrics: Mapping[str, Mapping[str, Cell]], verdict: Verdict | None) -> Markup:
    cells = {name: found["accuracy"] for name, found in metrics.items() if "accuracy" in found}
    estimates = [
        Estimate(
            label=predictor_label(name),
            value=cells[name]["value"],
            low=cells[name]["ci_low"],
            high=cells[name]["ci_high"],
            strong=verdict is not None and name == verdict.predictor,
        )
        for name in sorted(cells, key=lambda name: in_order(name, verdict))
    ]
    reference = cells[MAJORITY]["value"] if MAJORITY in cells else 0.5
    return plots.forest(
        "accuracy",
        "Accuracy on the test split, with 95% intervals",
        estimates,
        reference=reference,
        unit="accuracy, %",
        scale=100,
    )


def _differences(verdict: Verdict) -> Markup:
    estimates = [
        Estimate(
            label=predictor_label(item.baseline),
            value=_known(item.accuracy.value),
            low=_known(item.accuracy.low),
            high=_known(item.accuracy.high),
            strong=item.accuracy.above_zero,
        )
        for item in verdict.comparisons
    ]
    return plots.forest(
        "differences",
        "Difference in accuracy to each baseline, paired by session, with 95% intervals",
        estimates,
        reference=0.0,
        unit="percentage points",
        scale=100,
    )


def _growth(data: ReportData, verdict: Verdict | None) -> Markup | None:
    """The judged predictor's calls after costs; nothing for a label one could not trade."""
    if verdict is None or data.dataset is None or not data.dataset.manifest.tradable:
        return None
    own = data.returns.filter(pc.field("predictor") == verdict.predictor)
    if not own.num_rows:
        return None
    curve = trading_curve(own, own["p_up"].to_numpy(), data.spec.trading)
    cost = 1e4 * data.spec.trading.cost
    title = f"Illustration: growth of 1 by the calls, at {cost:.0f} basis points a side"
    return plots.growth("growth", title, curve.to_pylist())


def _known(value: float) -> float | None:
    """None for NaN."""
    return value if value == value else None


def _reliability(rows: pa.Table, verdict: Verdict | None) -> Markup | None:
    """The candidate's curve beside the reference learner's; without it, the base model's."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        if row["n"] >= DRAWN_FROM:
            curves.setdefault(row["predictor"], []).append(row)
    candidates = [verdict.predictor] if verdict else []
    wanted = [name for name in (*candidates, *REFERENCE, ZERO_SHOT) if name in curves]
    if not wanted:
        return None
    named = {predictor_label(name): curves[name] for name in list(dict.fromkeys(wanted))[:2]}
    return plots.reliability("reliability", "Observed share of up by predicted probability", named)
