"""The report's plots, from what was collected for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from tasks.evaluation.robustness import trading_curve
from tasks.evaluation.spec import MAJORITY, REFERENCE, ZERO_SHOT, predictor_label
from tasks.evaluation.verdict import Verdict
from tasks.report.page.collect import Metrics, ReportData, in_order
from tasks.report.plots import (
    ACCENT,
    INK,
    NARROW,
    QUIET,
    SECOND,
    THIRD,
    Estimate,
    few_ticks,
    forest,
    month_ticks,
    plot,
    reliability,
)

Curve = Sequence[tuple[float, float]]
"""(step, loss) pairs in the order of training."""

DRAWN_FROM = 5
"""Rows a tenth of P(up) must hold to be drawn; fewer say nothing."""


def report_plots(
    data: ReportData, metrics: Metrics, verdict: Verdict | None, training: Mapping[str, Any]
) -> dict[str, Markup | None]:
    """Every plot of the report by name; None where there is nothing to draw.

    `metrics`: see `Metrics`, of the test split; `training`: the model's
    metrics document.
    """
    curve, validation = (_curve(training, key) for key in ("loss_curve", "validation_curve"))
    return {
        "accuracy": _accuracy(metrics, verdict) if metrics else None,
        "differences": _differences(verdict) if verdict and verdict.comparisons else None,
        "reliability": _reliability(data.reliability, verdict),
        "loss": _loss_curve(curve, validation) if curve else None,
        "growth": _growth(data, verdict),
        "months": _months(data.months.to_pylist()) if data.months.num_rows else None,
    }


def _curve(training: Mapping[str, Any], key: str) -> list[tuple[float, float]]:
    return [(float(step), float(loss)) for step, loss in training.get(key) or ()]


def _accuracy(metrics: Metrics, verdict: Verdict | None) -> Markup:
    own = ("accuracy", None)
    cells = {name: found[own] for name, found in metrics.items() if own in found}
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
    return forest(
        "accuracy",
        "Accuracy on the test split, with 95% intervals",
        estimates,
        reference=reference,
        unit="accuracy, %",
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
    return forest(
        "differences",
        "Difference in accuracy to each baseline, paired by session, with 95% intervals",
        estimates,
        reference=0.0,
        unit="percentage points",
    )


def _growth(data: ReportData, verdict: Verdict | None) -> Markup | None:
    """The candidate's calls after costs; nothing for a label one could not trade."""
    if verdict is None or data.dataset is None or not data.dataset.manifest.tradable:
        return None
    own = data.returns.filter(pc.field("predictor") == verdict.predictor)
    if not own.num_rows:
        return None
    curve = trading_curve(own, own["p_up"].to_numpy(), data.spec.trading)
    cost = 1e4 * data.spec.trading.cost
    title = f"Illustration: growth of 1 by the calls, at {cost:.0f} basis points a side"
    return _growth_curve(title, curve.to_pylist())


def _known(value: float) -> float | None:
    """None for NaN."""
    return value if value == value else None


def _reliability(rows: pa.Table, verdict: Verdict | None) -> Markup | None:
    """The candidate's curve beside the reference model's; without it, the base model's."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        if row["n"] >= DRAWN_FROM:
            curves.setdefault(row["predictor"], []).append(row)
    candidates = [verdict.predictor] if verdict else []
    wanted = [name for name in (*candidates, *REFERENCE, ZERO_SHOT) if name in curves]
    if not wanted:
        return None
    named = {predictor_label(name): curves[name] for name in list(dict.fromkeys(wanted))[:2]}
    return reliability("reliability", "Observed share of up by predicted probability", named)


def _loss_curve(curve: Curve, validation: Curve) -> Markup:
    """Training loss by step in nats, and beside it the validation split's cross-entropy."""
    lines = {"training": curve, "validation": validation}
    drawn = {label: points for label, points in lines.items() if points}

    def draw(figure: Any, width: float) -> None:
        axes = figure.add_subplot()
        for (label, points), colour in zip(drawn.items(), (ACCENT, THIRD), strict=False):
            steps, losses = zip(*points, strict=True)
            mark = "o" if len(points) <= 40 else ""
            axes.plot(steps, losses, color=colour, marker=mark, markersize=3, label=label)
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats)")
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(few_ticks(width, integer=True))
        axes.margins(x=0.02)
        axes.spines["left"].set_visible(False)
        if len(drawn) > 1:
            axes.legend(loc="upper right", labelcolor=INK)

    words = " ".join(
        f"{label.capitalize()}: {len(points)} points from step {points[0][0]:g}, loss "
        f"{points[0][1]:.3f}, to step {points[-1][0]:g}, loss {points[-1][1]:.3f}."
        for label, points in drawn.items()
    )
    return plot("loss", "Loss by step", words, draw, height=2.6)


def _months(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Bars and headlines by month, one panel each over a shared time axis."""

    def draw(figure: Any, width: float) -> None:
        panels = figure.subplots(2, 1, sharex=True)
        when: list[date] = [row["month"] for row in rows]
        for axes, key, colour in zip(panels, ("bars", "headlines"), (SECOND, ACCENT), strict=True):
            counts = [row[key] for row in rows]
            axes.fill_between(when, counts, step="mid", color=colour, alpha=0.75, linewidth=0)
            axes.set_ylim(bottom=0)
            axes.set_title(f"{key} per month", loc="left", fontsize=9.5, color=QUIET)
            axes.yaxis.set_major_locator(few_ticks(NARROW / 2, integer=True))
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            axes.spines["left"].set_visible(False)
            axes.margins(x=0)
        ticks, form = month_ticks(when, 7 if width > NARROW else 4)
        panels[-1].set_xticks(ticks, [f"{tick:{form}}" for tick in ticks])

    totals = {key: sum(row[key] for row in rows) for key in ("bars", "headlines")}
    words = (
        f"From {rows[0]['month']:%B %Y} to {rows[-1]['month']:%B %Y}: {totals['bars']:,} bars and "
        f"{totals['headlines']:,} headlines in {len(rows)} months."
    )
    return plot("months", "Records by month", words, draw, height=2.8)


def _growth_curve(title: str, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Growth of 1 by session, after costs, before them, and by holding everything."""
    lines = {
        "growth_net": ("calls, after costs", ACCENT),
        "growth_gross": ("calls, before costs", SECOND),
        "growth_holding": ("holding every example", THIRD),
    }

    def draw(figure: Any, width: float) -> None:
        axes = figure.add_subplot()
        when = [row["session"] for row in rows]
        axes.axhline(1, color=QUIET, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
        for key, (label, colour) in lines.items():
            axes.plot(when, [row[key] for row in rows], color=colour, linewidth=1.5, label=label)
        months = sorted({day.replace(day=1) for day in when})
        ticks, form = month_ticks(months, 7 if width > NARROW else 4)
        axes.set_xticks(ticks, [f"{tick:{form}}" for tick in ticks])
        axes.set_xlim(when[0], when[-1])
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        axes.legend(loc="upper left", labelcolor=INK)

    last = ", ".join(f"{label} {rows[-1][key]:.2f}" for key, (label, _) in lines.items())
    words = f"From {rows[0]['session']} to {rows[-1]['session']}, 1 becomes: {last}."
    return plot("growth", title, words, draw, height=2.8)
