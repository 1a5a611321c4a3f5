"""The report of one data set and its model: a single HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from markupsafe import Markup

from tasks.evaluation.spec import MAJORITY, REFERENCE, TRIVIAL, ZERO_SHOT
from tasks.evaluation.verdict import Verdict
from tasks.report import plots
from tasks.report.collect import ReportData
from tasks.report.markup import numeral, predictor_label, render, write_page
from tasks.report.plots import Estimate
from tasks.report.verdicts import WHOLE

SHOWN_METRICS = ("accuracy", "mcc", "auroc", "cross_entropy", "predicted_up_share")
DRAWN_FROM = 5
"""Rows a tenth of P(up) must hold to be drawn; fewer say nothing."""

Cell = Mapping[str, Any]
"""One row of `report_evaluations.sql`."""


def write_report(data: ReportData, out: Path) -> Path:
    """Write the report to the file `out` and return it. Equal data gives equal bytes.

    The page loads nothing from anywhere, escapes every text that came from outside, and is laid
    out for phones, screens, print, light and dark.
    """
    metrics = _by_predictor(data.evaluations)
    verdict = data.verdicts[0] if data.verdicts else None
    model = _newest(data.models)
    training = json.loads(model["metrics"]) if model else {}
    return write_page(
        out,
        render(
            "report.html",
            data=data,
            headline=_headline(data, verdict),
            lede=_lede(data, verdict, metrics),
            words=_words(verdict),
            alarms=verdict.alarms if verdict else (),
            candidate=predictor_label(verdict.predictor) if verdict else "",
            predictors=_predictor_rows(metrics, verdict),
            size=_size(data.evaluations),
            drawn_from=DRAWN_FROM,
            slices=_slice_rows(data.evaluations, verdict),
            model=model,
            entropies=_entropies(training),
            rendered=data.examples.to_pylist(),
            totals=_totals(data),
            sources=data.sources.to_pylist(),
            tickers=data.tickers.to_pylist(),
            failures=data.failures.to_pylist(),
            quarantine=data.quarantine.to_pylist(),
            checks=data.checks.to_pylist(),
            specification=data.dataset.manifest.spec.model_dump_json(indent=2)
            if data.dataset
            else "",
            plots=_plots(data, metrics, verdict, training),
        ),
    )


def _headline(data: ReportData, verdict: Verdict | None) -> str:
    if verdict is not None:
        if verdict.skill and all(verdict.better_than.values()):
            return "Better than every baseline"
        return "Better than the simple baselines" if verdict.skill else "No skill shown"
    return "A data set, not yet judged" if data.dataset else "Ingested, no data set yet"


def _lede(
    data: ReportData, verdict: Verdict | None, metrics: Mapping[str, Mapping[str, Cell]]
) -> str:
    if verdict is not None:
        return f"{_achieved(metrics, verdict)} {_compared(verdict)}"
    if data.dataset:
        return "No predictor has been evaluated on this data set. Run `newsvane evaluate`."
    return "Build a data set with `newsvane dataset build` and evaluate it."


def _achieved(metrics: Mapping[str, Mapping[str, Cell]], verdict: Verdict) -> str:
    own = metrics[verdict.predictor]["accuracy"]
    text = f"The {predictor_label(verdict.predictor)} called {numeral(own['value'], 'percent')}"
    if own["ci_low"] is not None:
        text += f" ({numeral(own['ci_low'], 'percent')} to {numeral(own['ci_high'], 'percent')})"
    text += f" of {verdict.n_examples:,} test examples in {verdict.n_sessions:,} sessions right"
    if MAJORITY in metrics:
        text += f"; always naming the majority class {_percent(metrics[MAJORITY]['accuracy'])}"
    return text + "."


def _compared(verdict: Verdict) -> str:
    if not verdict.comparisons:
        return "There was no baseline to compare it with."
    unbeaten = [
        predictor_label(item.baseline)
        for item in verdict.comparisons
        if not verdict.better_than[item.baseline]
    ]
    if not unbeaten:
        return "Its lead over each baseline has an interval that excludes zero."
    return f"It is not shown to be better than: {', '.join(unbeaten)}."


def _words(verdict: Verdict | None) -> str:
    """The evaluation's own words, less the alarms, which stand in boxes of their own."""
    return verdict.words.split(" ALARM: ")[0] if verdict else ""


def _percent(cell: Cell) -> str:
    return numeral(cell["value"], "percent")


def _by_predictor(evaluations: pa.Table) -> dict[str, dict[str, Cell]]:
    """Predictor to metric to cell, on the whole split."""
    found: dict[str, dict[str, Cell]] = {}
    for row in evaluations.to_pylist():
        if row["slice"] == WHOLE:
            found.setdefault(row["predictor"], {})[row["metric"]] = row
    return found


def _order(name: str, verdict: Verdict | None) -> tuple[int, str]:
    """Candidate first, then other models, the reference learner, and the trivial baselines."""
    if verdict is not None and name == verdict.predictor:
        return (0, name)
    if name in TRIVIAL:
        return (3 + len(TRIVIAL) - TRIVIAL.index(name), name)
    return (2 if name in REFERENCE else 1, name)


def _predictor_rows(
    metrics: Mapping[str, Mapping[str, Cell]], verdict: Verdict | None
) -> list[dict[str, Any]]:
    return [
        {
            "label": predictor_label(name),
            "strong": verdict is not None and name == verdict.predictor,
            **{metric: metrics[name].get(metric) for metric in SHOWN_METRICS},
        }
        for name in sorted(metrics, key=lambda name: _order(name, verdict))
    ]


def _size(evaluations: pa.Table) -> Cell:
    whole = [row for row in evaluations.to_pylist() if row["slice"] == WHOLE]
    return whole[0] if whole else {"n_examples": 0, "n_sessions": 0}


def _slice_rows(evaluations: pa.Table, verdict: Verdict | None) -> list[dict[str, Any]]:
    """The candidate's accuracy and the majority's on each slice but the whole, by kind of slice."""
    if verdict is None:
        return []
    accuracy: dict[str, dict[str, Cell]] = {}
    for row in evaluations.to_pylist():
        if row["metric"] == "accuracy" and row["slice"] != WHOLE:
            accuracy.setdefault(row["slice"], {})[row["predictor"]] = row
    rows = [
        {
            "label": _slice_label(name),
            "kind": name.partition("=")[0] if "=" in name else "",
            "n_examples": by[verdict.predictor]["n_examples"],
            "accuracy": by[verdict.predictor],
            "majority": by.get(MAJORITY),
        }
        for name, by in accuracy.items()
        if verdict.predictor in by
    ]
    return sorted(rows, key=lambda row: (row["kind"], row["label"]))


def _slice_label(name: str) -> str:
    kind, _, value = name.partition("=")
    return value if kind in {"ticker", "period"} else f"{kind.replace('_', ' ')} {value}".strip()


def _newest(models: pa.Table) -> dict[str, Any] | None:
    rows: list[dict[str, Any]] = models.slice(0, 1).to_pylist()
    return rows[0] if rows else None


def _entropies(training: Mapping[str, Any]) -> dict[str, float] | None:
    before, after = training.get("validation_ce_before"), training.get("validation_ce_after")
    if before is None or after is None:
        return None
    return {"before": float(before), "after": float(after)}


def _totals(data: ReportData) -> list[tuple[str, int]]:
    def rows(kind: str) -> int:
        return sum(row["rows"] for row in data.sources.to_pylist() if row["kind"] == kind)

    return [
        ("tickers", data.tickers.num_rows),
        ("bars", rows("bars")),
        ("actions", rows("actions")),
        ("headlines", rows("headlines")),
        ("quarantined", sum(data.quarantine["records"].to_pylist())),
    ]


def _plots(
    data: ReportData,
    metrics: Mapping[str, Mapping[str, Cell]],
    verdict: Verdict | None,
    training: Mapping[str, Any],
) -> dict[str, Markup | None]:
    curve = [(float(step), float(loss)) for step, loss in training.get("loss_curve", ())]
    return {
        "accuracy": _accuracy(metrics, verdict) if metrics else None,
        "differences": _differences(verdict) if verdict and verdict.comparisons else None,
        "reliability": _reliability(data.reliability, verdict),
        "loss": plots.loss_curve("loss", "Training loss by step", curve) if curve else None,
        "months": plots.months("months", "Records by month", data.months.to_pylist())
        if data.months.num_rows
        else None,
    }


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
        for name in sorted(cells, key=lambda name: _order(name, verdict))
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
