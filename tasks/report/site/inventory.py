"""The data page: freshness, coverage, label balance, and what was rejected."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

from markupsafe import Markup

from tasks.report.site import plots as site_plots
from tasks.report.site.files import Rows, export, exported, page, read
from warehouse.lake import Lake

RECENT = timedelta(days=84)
"""The span of the day-by-day coverage map: about sixty sessions."""

DRAWN_FROM = 20
"""Labelled examples a month must hold for its share of ups to be drawn."""


def inventory(lake: Lake, root: Path, now: datetime) -> str:
    """The page on what the warehouse holds; `now` (UTC) dates the freshness figures."""
    freshness = read(lake, root, "site_freshness")
    labels = _latest_spec(read(lake, root, "site_labels"))
    published = [row["latest_record"] for row in freshness if row["kind"] == "headlines"]
    latest = max(published, default=now.date())
    months = _coverage(lake, root, "month", date.min, date.max)
    days = _coverage(lake, root, "day", latest - RECENT, latest)
    quarantine = lake.read("report_quarantine")
    export(root, "quarantine", quarantine)
    return page(
        "data",
        freshness=freshness,
        now=now,
        quarantine=quarantine.to_pylist(),
        restated=read(lake, root, "site_restated"),
        checks=lake.read("report_checks").to_pylist(),
        maps={
            "bars": _map("bars", "Sessions with a bar, by month", months, "bars", "%Y"),
            "news": _map("news", "Days with a headline, by month", months, "news", "%Y"),
            "recent": _map("recent", "Days with a headline, lately", days, "news", "%b %d"),
        },
        balance=site_plots.shares(
            "balance",
            "Share of labelled examples that went up, by month",
            labels,
            {"up_share": "went up"},
            unit="%",
        )
        if labels
        else None,
    )


def _coverage(lake: Lake, root: Path, step: str, since: date, until: date) -> Rows:
    table = lake.read("site_coverage", {"step": step, "since": since, "until": until})
    return exported(root, f"coverage_{step}", table)


def _map(name: str, title: str, rows: Rows, value: str, form: str) -> Markup | None:
    return site_plots.heatmap(name, title, rows, value, form) if rows else None


def _latest_spec(labels: Rows) -> Rows:
    """The months, large enough to draw, of the example spec that reaches furthest."""
    if not labels:
        return []
    spec = max(labels, key=lambda row: (row["month"], row["examples"], row["spec_id"]))["spec_id"]
    return [row for row in labels if row["spec_id"] == spec and row["labelled"] >= DRAWN_FROM]
