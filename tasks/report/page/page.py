"""The report of one data set and its model: a single HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.evaluation.robustness import ILLUSTRATION
from tasks.evaluation.spec import MAJORITY, predictor_label
from tasks.evaluation.verdict import WHOLE, Cell, Verdict, cells_by_predictor, read_verdicts
from tasks.report.markup import numeral, render, write_page
from tasks.report.page.collect import Metrics, ReportData, dataset_rows, in_order
from tasks.report.page.plots import DRAWN_FROM, report_plots
from tasks.report.page.robustness import robustness_tables
from warehouse.lake import Lake

ENTROPIES = {
    "label_ce": "the label's own tokens",
    "completion_ce": "the whole completion",
    "pair_ce": "the label, when only the two are allowed",
}
"""The measures of a model's `validation_before` and `validation_after`, in words."""

SHOWN_METRICS = ("accuracy", "mcc", "auroc", "cross_entropy", "predicted_up_share")


def write_report(data: ReportData, out: Path) -> Path:
    """Write the report to the file `out` and return it. Equal data gives equal bytes.

    The page loads nothing from anywhere, escapes every text that came from outside, and is laid
    out for phones, screens, print, light and dark.
    """
    metrics = cells_by_predictor(data.evaluations)
    verdict = data.verdicts[0] if data.verdicts else None
    model = next(iter(data.models), None)
    training = model.metrics if model else {}
    walked = read_verdicts(data.walked, data.spec)
    return write_page(
        out,
        render(
            "report.html",
            data=data,
            headline=_headline(data, verdict),
            lede=_lede(data, verdict, metrics),
            words=verdict.words.split(" ALARM: ")[0] if verdict else "",  # alarms: in boxes
            alarms=verdict.alarms if verdict else (),
            candidate=predictor_label(verdict.predictor) if verdict else "",
            predictors=_predictor_rows(metrics, verdict),
            size=_size(data.evaluations),
            drawn_from=DRAWN_FROM,
            notes=data.notes,
            robustness=robustness_tables(
                data.evaluations, data.walked, metrics, verdict, data.spec
            ),
            walked=walked[0].words if walked else "",
            illustration=ILLUSTRATION,
            slices=_slice_rows(data.evaluations, verdict),
            model=model,
            training=training,
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
            plots=report_plots(data, metrics, verdict, training),
        ),
    )


def write_index(lake: Lake, folder: Path) -> Path:
    """Write `index.html` of the reports in `folder`, one row per data set, and return it."""
    rows = []
    for listed in dataset_rows(lake):
        page = folder / f"{listed['dataset_id']}.html"
        rows.append({**listed, "href": page.name if page.is_file() else None})
    return write_page(folder / "index.html", render("report_index.html", rows=rows))


def _headline(data: ReportData, verdict: Verdict | None) -> str:
    if verdict is not None:
        if verdict.memory is not None and verdict.memory.followed:
            return "Withheld: skill follows memory"
        if verdict.skill and all(verdict.better_than.values()):
            return "Better than every baseline"
        return "Better than the simple baselines" if verdict.skill else "No skill shown"
    return "A data set, not yet evaluated" if data.dataset else "Ingested, no data set yet"


def _lede(data: ReportData, verdict: Verdict | None, metrics: Metrics) -> str:
    if verdict is not None:
        return " ".join(
            filter(
                None,
                (
                    _achieved(metrics, verdict),
                    _compared(verdict),
                    verdict.looks,
                    verdict.memory.words if verdict.memory else "",
                ),
            )
        )
    if data.dataset:
        return "No predictor has been evaluated on this data set. Run `newsvane evaluate`."
    return "Build a data set with `newsvane dataset build` and evaluate it."


def _achieved(metrics: Metrics, verdict: Verdict) -> str:
    own = metrics[verdict.predictor]["accuracy", None]
    text = f"The {predictor_label(verdict.predictor)} called {numeral(own['value'], 'percent')}"
    if own["ci_low"] is not None:
        text += f" ({numeral(own['ci_low'], 'percent')} to {numeral(own['ci_high'], 'percent')})"
    text += f" of {verdict.n_examples:,} test examples in {verdict.n_sessions:,} sessions right"
    if MAJORITY in metrics:
        majority = metrics[MAJORITY]["accuracy", None]
        text += f"; always naming the majority class {numeral(majority['value'], 'percent')}"
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


def _predictor_rows(metrics: Metrics, verdict: Verdict | None) -> list[dict[str, Any]]:
    return [
        {
            "label": predictor_label(name),
            "strong": verdict is not None and name == verdict.predictor,
            **{metric: metrics[name].get((metric, None)) for metric in SHOWN_METRICS},
        }
        for name in sorted(metrics, key=lambda name: in_order(name, verdict))
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
        if (row["metric"], row["baseline"]) == ("accuracy", None) and row["slice"] != WHOLE:
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


def _entropies(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cross-entropies of the true answers on the validation split, before and after training."""
    before, after = (training.get(f"validation_{when}") or {} for when in ("before", "after"))
    rows = [
        {"label": label, "before": before.get(key), "after": after.get(key)}
        for key, label in ENTROPIES.items()
    ]
    plain = {"label": ENTROPIES["label_ce"]} | {
        when: training.get(f"validation_ce_{when}") for when in ("before", "after")
    }
    rows = rows if before and after else [plain]
    return [row for row in rows if row["before"] is not None and row["after"] is not None]


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
