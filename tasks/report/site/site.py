"""The site: Today, Scoreboard, Data, Training, Lineage as files a browser can open from disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.report.markup import predictor_label, write_page
from tasks.report.site import plots as site_plots
from tasks.report.site.files import Rows, candidate_of, export, page, read
from tasks.report.site.inventory import inventory
from tasks.report.site.lineage import write_lineage
from tasks.report.site.scoreboard import scoreboard
from warehouse.lake import Lake


class SiteError(ValueError):
    """The site was asked for at a moment that cannot be told."""


def write_site(lake: Lake, root: Path, now: datetime) -> Path:
    """Write the site below `root` and return its first page.

    `now` (UTC, aware) tells finished sessions from running ones and dates the freshness figures;
    equal warehouse content at an equal `now` gives equal bytes. Every plot's numbers lie beside
    it in `root/files` as CSV and JSON. Raises SiteError for a `now` without a zone.
    """
    if now.tzinfo is None:
        raise SiteError(f"now is {now}, without a time zone; pass an aware UTC time.")
    lake.read("site_scored", {"now": now})
    models = lake.read("site_models").to_pylist()
    scores = read(lake, root, "site_scores")
    first = write_page(root / "index.html", _today(lake, root, scores, now))
    write_page(root / "scoreboard.html", scoreboard(lake, root, scores, models))
    write_page(root / "data.html", inventory(lake, root, now))
    write_page(root / "training.html", _training(root, models))
    sessions = write_lineage(lake, root)
    seals = lake.read("seal_chain").to_pylist()
    write_page(root / "lineage.html", page("lineage", sessions=sessions, seals=seals))
    return first


def _today(lake: Lake, root: Path, scores: Rows, now: datetime) -> str:
    table = lake.read("site_today")
    export(root, "today", table.drop_columns(["headlines"]))
    rows = table.to_pylist()
    candidate = candidate_of(scores)
    calls = [row for row in rows if row["predictor"] == candidate] if candidate else []
    others: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["predictor"] != candidate and row["model_id"] is not None:
            others.setdefault(row["ticker"], []).append(row)
    return page(
        "today",
        calls=calls,
        others=others,
        silent=[row["ticker"] for row in lake.read("site_silent").to_pylist()],
        synthetic=any(item["synthetic"] for row in calls for item in row["headlines"]),
        candidate=predictor_label(candidate) if candidate else "",
        now=now,
    )


def _training(root: Path, models: Rows) -> str:
    curves: dict[str, Sequence[tuple[float, float]]] = {}
    for model in models:
        metrics = json.loads(model["metrics"])
        model["before"] = metrics.get("validation_ce_before")
        model["after"] = metrics.get("validation_ce_after")
        if metrics.get("loss_curve"):
            curves[model["model_id"]] = [(float(s), float(x)) for s, x in metrics["loss_curve"]]
    flat = [(name, step, loss) for name, curve in curves.items() for step, loss in curve]
    schema = pa.schema([("model_id", pa.string()), ("step", pa.float64()), ("loss", pa.float64())])
    columns = zip(*flat, strict=True) if flat else ((), (), ())
    export(root, "loss", pa.table([list(column) for column in columns], schema=schema))
    title = "Training loss by step, the newest models"
    return page(
        "training",
        models=models,
        curves=site_plots.loss_curves("loss", title, curves) if curves else None,
    )
