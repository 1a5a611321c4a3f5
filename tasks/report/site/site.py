"""The site: Today, Scoreboard, Data, Training, Lineage as files a browser can open from disk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.evaluation.spec import EvaluationSpec
from tasks.prediction.record import ForwardRecord
from tasks.report.markup import write_page
from tasks.report.site import plots as site_plots
from tasks.report.site.files import export, page
from tasks.report.site.inventory import inventory
from tasks.report.site.lineage import write_lineage
from tasks.report.site.scoreboard import scoreboard
from warehouse.lake import Lake
from warehouse.tables.models import Model, read_models


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
    write_page(root / "data.html", inventory(lake, root, now))
    write_page(root / "training.html", _training(lake, root, models))
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


def _training(lake: Lake, root: Path, models: Sequence[Model]) -> str:
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
    accuracies = lake.read("evaluation_model_accuracy").to_pylist()
    return page(
        "training",
        models=models,
        accuracies={row["model_id"]: row for row in accuracies},
        curves=site_plots.loss_curves("loss", title, curves) if curves else None,
    )
