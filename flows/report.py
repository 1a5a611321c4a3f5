"""The report: what the warehouse says about the newest data set, on one page."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_link_artifact

from flows.settings import ConfigSelection, load_settings
from tasks.report.collect import collect
from tasks.report.page import write_report as write_page
from warehouse.lake import Lake


@flow(name="report")
def write_report(selection: ConfigSelection) -> Path:
    """Write `report.html` below the data root and return its path."""
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    with Lake.open(settings.warehouse) as lake:
        data = collect(lake)
    path = write_page(data, settings.data_root / "report.html").resolve()
    create_link_artifact(path.as_uri(), key="report", link_text="Open the report")
    return path
