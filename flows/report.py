"""The report: what the warehouse says about the newest data set, on one page."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_link_artifact

from flows.connections import clock_of
from flows.platform.display import link_to
from flows.platform.runtime import Selection, named_by_start
from flows.settings import load_settings
from tasks.report.page.collect import collect
from tasks.report.page.page import write_report as write_page
from tasks.report.site.site import write_site as write_pages
from warehouse.lake import Lake


@flow(name="report", flow_run_name=named_by_start)
def write_report(selection: Selection) -> Path:
    """Write `report.html` below the data root and return its path."""
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    with Lake.open(settings.warehouse) as lake:
        data = collect(lake, spec=settings.evaluation)
    path = write_page(data, settings.data_root / "report.html").resolve()
    create_link_artifact(link_to(settings, path), key="report", link_text="Open the report")
    return path


@flow(name="site", flow_run_name=named_by_start)
def write_site(selection: Selection) -> Path:
    """Write the pages Today, Scoreboard, Data, Training and Lineage; return the first one."""
    settings = load_settings(selection.config, selection.profile, selection.overrides)
    with Lake.open(settings.warehouse) as lake:
        first = write_pages(lake, settings.data_root / "site", clock_of(settings)()).resolve()
    create_link_artifact(link_to(settings, first), key="site", link_text="Open the site")
    return first
