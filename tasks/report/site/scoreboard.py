"""The scoreboard: what was called in advance, and how it turned out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from tasks.evaluation.spec import ALWAYS_UP, TRIVIAL, predictor_label
from tasks.prediction.live import LiveComparison, Spans
from tasks.prediction.record import ForwardRecord
from tasks.report import plots
from tasks.report.markup import Rows, exported, page, read
from tasks.report.plots import Estimate
from tasks.report.site import plots as site_plots
from warehouse.lake import Lake
from warehouse.tables.models import Model


def scoreboard(lake: Lake, root: Path, record: ForwardRecord, models: Sequence[Model]) -> str:
    """The page on all forward predictions; `models` are all that are registered."""
    candidate, labels = record.candidate, record.labels
    scores = exported(root, "scores", record.scores())
    running = exported(root, "running", record.running())
    leads = exported(root, "differences", record.leads(candidate or ""))
    tickers = exported(root, "ticker_scores", record.tickers(candidate or ""))
    calibration = read(lake, root, "site_calibration", forward_states=record.states)
    drift = read(lake, root, "site_drift", forward_states=record.states)
    own = next((row for row in scores if row["predictor"] == candidate), None)
    return page(
        "scoreboard",
        scores=sorted(scores, key=lambda row: row is not own),
        own=own,
        labels=labels,
        live=_live(lake, record, models),
        candidate=labels[candidate] if candidate else "",
        unbeaten=_unbeaten(leads),
        tickers=tickers,
        plots=_score_plots(candidate, labels, running, leads, calibration, drift),
    )


def _unbeaten(leads: Rows) -> list[str]:
    """The simple rules over which the candidate's lead is not shown to be one."""
    return [
        predictor_label(row["other"])
        for row in leads
        if row["other"] in (ALWAYS_UP, *TRIVIAL) and (row["ci_low"] is None or row["ci_low"] <= 0)
    ]


def _live(lake: Lake, record: ForwardRecord, models: Sequence[Model]) -> LiveComparison | None:
    """The candidate's forward accuracy against its back-test; None while either has no rows."""
    model = next((model for model in models if model.model_id == record.candidate), None)
    spans = Spans.read(lake, model, record.scored.get(model.model_id)) if model else None
    found = spans.compare(record.labels[model.model_id], record.spec) if spans and model else ()
    return next((item for item in found if item.metric == "accuracy"), None)


def _score_plots(
    candidate: str | None,
    labels: Mapping[str, str],
    running: Rows,
    leads: Rows,
    calibration: Rows,
    drift: Rows,
) -> dict[str, Markup | None]:
    if candidate is None:
        return dict.fromkeys(("running", "differences", "calibration", "drift", "inputs"))
    estimates = [
        Estimate(
            label=labels[row["other"]],
            value=row["difference"],
            low=row["ci_low"],
            high=row["ci_high"],
            strong=(row["ci_low"] or 0) > 0,
        )
        for row in leads
    ]
    bins: dict[str, Rows] = {}
    for row in calibration:
        bins.setdefault(labels[row["predictor"]], []).append(row)
    bins = dict(sorted(bins.items(), key=lambda item: item[0] != labels[candidate])[:2])
    title = "Forward accuracy up to each week's end"
    return {
        "running": site_plots.running_accuracy("running", title, running, candidate, labels)
        if running
        else None,
        "differences": plots.forest(
            "differences",
            "Forward accuracy minus each other predictor's, with bounds that hold at every look",
            estimates,
            reference=0.0,
            unit="percentage points",
        )
        if estimates
        else None,
        "calibration": plots.reliability(
            "calibration", "Observed share of up by predicted probability, forward only", bins
        )
        if bins
        else None,
        **_drift_plots([row for row in drift if row["predictor"] == candidate]),
    }


def _drift_plots(drift: Rows) -> dict[str, Markup | None]:
    if not drift:
        return {"drift": None, "inputs": None}
    return {
        "drift": site_plots.shares(
            "drift",
            "Mean P(up) and the share that went up, by month",
            drift,
            {"mean_p_up": "mean P(up)", "up_share": "went up"},
            unit="%",
        ),
        "inputs": site_plots.shares(
            "inputs",
            "Headlines an example held, by month",
            drift,
            {"headlines_per_example": "headlines"},
            unit="headlines",
            percent=False,
        ),
    }
