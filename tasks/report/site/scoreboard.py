"""The scoreboard: what was called in advance, and how it turned out."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.evaluation.spec import TRIVIAL
from tasks.report import plots
from tasks.report.markup import predictor_label
from tasks.report.plots import Estimate
from tasks.report.site import plots as site_plots
from tasks.report.site.files import Rows, candidate_of, page, read
from warehouse.lake import Lake

ALWAYS_UP = "always_up"
"""The rule that `site_scored.sql` adds to whatever predicted."""


def scoreboard(lake: Lake, root: Path, scores: Rows, models: Rows) -> str:
    """The page on all forward predictions.

    `scores` and `models` are rows of `site_scores.sql` and `site_models.sql`.
    """
    candidate = candidate_of(scores)
    rolling = read(lake, root, "site_rolling")
    differences = read(lake, root, "site_differences")
    calibration = read(lake, root, "site_calibration")
    drift = [row for row in read(lake, root, "site_drift") if row["predictor"] == candidate]
    tickers = [r for r in read(lake, root, "site_ticker_scores") if r["predictor"] == candidate]
    own = next((row for row in scores if row["predictor"] == candidate), None)
    promised = next((m for m in models if own and m["model_id"] == own["model_id"]), None)
    return page(
        "scoreboard",
        scores=sorted(scores, key=lambda row: row is not own),
        own=own,
        promised=promised,
        shift=_shift(own, promised),
        candidate=predictor_label(candidate) if candidate else "",
        unbeaten=_unbeaten(differences, candidate),
        tickers=tickers,
        plots=_score_plots(candidate, rolling, differences, calibration, drift),
    )


def _unbeaten(differences: Rows, candidate: str | None) -> list[str]:
    """The simple rules over which the candidate's lead is not shown to be one."""
    return [
        predictor_label(row["other"])
        for row in differences
        if row["predictor"] == candidate
        and row["other"] in (ALWAYS_UP, *TRIVIAL)
        and (row["ci_low"] is None or row["ci_low"] <= 0)
    ]


def _shift(
    own: Mapping[str, Any] | None, promised: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Forward accuracy minus the backtest's, with its 95% interval.

    The two spans share no session, so their half-widths add in squares.
    """
    known = ("accuracy", "ci_low", "ci_high")
    if (
        own is None
        or promised is None
        or None in [side[k] for side in (own, promised) for k in known]
    ):
        return None
    shift = own["accuracy"] - promised["accuracy"]
    reach = hypot(*((side["ci_high"] - side["ci_low"]) / 2 for side in (own, promised)))
    return {"value": shift, "ci_low": shift - reach, "ci_high": shift + reach}


def _score_plots(
    candidate: str | None, rolling: Rows, differences: Rows, calibration: Rows, drift: Rows
) -> dict[str, Markup | None]:
    if candidate is None:
        return dict.fromkeys(("rolling", "differences", "calibration", "drift", "inputs"))
    leads = [
        Estimate(
            label=predictor_label(row["other"]),
            value=row["difference"],
            low=row["ci_low"],
            high=row["ci_high"],
            strong=(row["ci_low"] or 0) > 0,
        )
        for row in differences
        if row["predictor"] == candidate
    ]
    bins: dict[str, Rows] = {}
    for row in calibration:
        bins.setdefault(predictor_label(row["predictor"]), []).append(row)
    bins = dict(sorted(bins.items(), key=lambda item: item[0] != predictor_label(candidate))[:2])
    title = "Forward accuracy over the 60 sessions before each week's end"
    return {
        "rolling": site_plots.rolling_accuracy("rolling", title, rolling, candidate)
        if rolling
        else None,
        "differences": plots.forest(
            "differences",
            "Forward accuracy minus each other predictor's, with 95% intervals",
            leads,
            reference=0.0,
            unit="percentage points",
            scale=100,
        )
        if leads
        else None,
        "calibration": plots.reliability(
            "calibration", "Observed share of up by predicted probability, forward only", bins
        )
        if bins
        else None,
        **_drift_plots(drift),
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
