"""The site: Today, Scoreboard, Data, Training, Lineage as files a browser can open from disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from markupsafe import Markup

from tasks.evaluation.looks import correction_of
from tasks.evaluation.spec import TEST, EvaluationSpec
from tasks.evaluation.verdict import Correction
from tasks.prediction.record import ForwardRecord
from tasks.report.markup import Rows, export, exported, page, read, write_page
from tasks.report.site import plots as site_plots
from tasks.report.site.lineage import write_lineage
from tasks.report.site.scoreboard import scoreboard
from warehouse.lake import Lake
from warehouse.tables.models import Model, read_models

RECENT = timedelta(days=84)
"""The span of the day-by-day coverage map: about sixty sessions."""

DRAWN_FROM = 20
"""Labelled examples a month must hold for its share of ups to be drawn."""


CORRECTED = 12
"""Models, the last evaluated, whose leads are corrected for looks: the site is written daily."""


class SiteError(ValueError):
    """The site cannot be made for the moment given; the message says why."""


def write_site(
    lake: Lake, root: Path, now: datetime, evaluation: EvaluationSpec | None = None
) -> Path:
    """Write the site below `root` and return its first page.

    `now` (UTC, aware) separates finished sessions from running ones and dates the freshness
    figures; equal warehouse content at an equal `now` gives equal bytes. Intervals are those of
    `evaluation`. Every plot's numbers lie beside it in `root/files` as CSV and JSON. Raises
    SiteError for a `now` without a zone.
    """
    if now.tzinfo is None:
        raise SiteError(f"now is {now}, without a time zone; pass an aware UTC time.")
    record = ForwardRecord.read(lake, evaluation or EvaluationSpec(), now=now)
    models = read_models(lake)
    first = write_page(root / "index.html", _today(lake, root, record, now))
    write_page(root / "scoreboard.html", scoreboard(lake, root, record, models))
    write_page(root / "data.html", _data(lake, root, now))
    write_page(root / "training.html", _training(lake, root, models, record.spec))
    sessions = write_lineage(lake, root, record.states)
    seals = lake.read("seal_chain").to_pylist()
    write_page(root / "lineage.html", page("lineage", sessions=sessions, seals=seals))
    return first


def _today(lake: Lake, root: Path, record: ForwardRecord, now: datetime) -> str:
    table = lake.read("site_today")
    export(root, "today", table.drop_columns(["headlines"]))
    rows = table.to_pylist()
    candidate, labels = record.candidate, record.labels
    calls = [row for row in rows if row["predictor"] == candidate]
    others: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["predictor"] != candidate and row["model_id"] is not None:
            others.setdefault(row["ticker"], []).append(row)
    return page(
        "today",
        calls=calls,
        others=others,
        labels=labels,
        silent=[row["ticker"] for row in lake.read("site_silent").to_pylist()],
        synthetic=any(item["synthetic"] for row in calls for item in row["headlines"]),
        candidate=labels[candidate] if candidate else "",
        now=now,
    )


def _data(lake: Lake, root: Path, now: datetime) -> str:
    """The page on what the warehouse holds; `now` (UTC) dates the freshness figures."""
    freshness = read(lake, root, "site_freshness")
    labels = _latest_spec(read(lake, root, "site_labels"))
    published = [row["latest_record"] for row in freshness if row["kind"] == "headlines"]
    latest = max(published, default=now.date())
    months = _coverage(lake, root, "month", date.min, date.max)
    days = _coverage(lake, root, "day", latest - RECENT, latest)
    quarantine = lake.read("report_quarantine")
    export(root, "quarantine", quarantine)
    beside = {"../report/index.html": "Reports", "../data_docs/index.html": "Data Docs"}
    return page(
        "data",
        beside={href: name for href, name in beside.items() if (root / href).is_file()},
        freshness=freshness,
        now=now,
        quarantine=quarantine.to_pylist(),
        incomplete=read(lake, root, "site_incomplete"),
        own_columns=_own_columns(lake, root),
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


def _own_columns(lake: Lake, root: Path) -> Rows:
    """What the newest data set knows of each own column; empty where it has none."""
    newest = lake.read("report_datasets").to_pylist()[:1]
    found = json.loads(newest[0]["manifest"]).get("features", {}) if newest else {}
    rows = [{"column": name, **counted} for name, counted in found.items()]
    return exported(root, "own_columns", pa.Table.from_pylist(rows)) if rows else []


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


def _corrections(
    lake: Lake, evaluated: Mapping[str, Mapping[str, Any]], spec: EvaluationSpec
) -> dict[str, Correction]:
    """What counting looks leaves of the newest evaluated models' leads, by model_id."""
    newest = sorted(evaluated.values(), key=lambda row: row["evaluated_at"], reverse=True)
    found = {}
    for row in newest[:CORRECTED]:
        name = row["model_id"]
        about = {"dataset_id": row["dataset_id"], "predictor": row["predictor"]}
        correction = correction_of(lake, spec, **about, split=TEST, model=name)
        if correction is not None:
            found[name] = correction
    return found


def _training(lake: Lake, root: Path, models: Sequence[Model], spec: EvaluationSpec) -> str:
    curves = {
        model.model_id: [(float(step), float(loss)) for step, loss in model.metrics["loss_curve"]]
        for model in models
        if model.metrics.get("loss_curve")
    }
    flat = [(name, step, loss) for name, curve in curves.items() for step, loss in curve]
    schema = pa.schema([("model_id", pa.string()), ("step", pa.float64()), ("loss", pa.float64())])
    columns = zip(*flat, strict=True) if flat else ((), (), ())
    export(root, "loss", pa.table([list(column) for column in columns], schema=schema))
    title = "Training loss by step, the newest models"
    accuracies = {
        row["model_id"]: row for row in lake.read("evaluation_model_accuracy").to_pylist()
    }
    return page(
        "training",
        models=models,
        accuracies=accuracies,
        corrections=_corrections(lake, accuracies, spec),
        curves=site_plots.loss_curves("loss", title, curves) if curves else None,
    )
