"""Report flows: the page on the newest data set, and the site."""

from __future__ import annotations

from pathlib import Path

from prefect.artifacts import create_link_artifact

from flows.connections import clock_of
from flows.platform.display import link_to
from flows.platform.runtime import configured_flow
from flows.settings import Settings
from tasks.report.page.collect import collect
from tasks.report.page.page import write_report as write_page
from tasks.report.site.site import write_site as write_pages
from warehouse.lake import Lake


@configured_flow("report")
def write_report(settings: Settings) -> Path:
    """Write `report.html` below the data root and return its path."""
    with Lake.open(settings.warehouse) as lake:
        data = collect(lake, spec=settings.evaluation)
    path = write_page(data, settings.data_root / "report.html").resolve()
    create_link_artifact(link_to(settings, path), key="report", link_text="Open the report")
    return path


@configured_flow("site")
def write_site(settings: Settings) -> Path:
    """Write the pages Today, Scoreboard, Data, Training and Lineage; return the first one."""
    root, now = settings.data_root / "site", clock_of(settings)()
    with Lake.open(settings.warehouse) as lake:
        first = write_pages(lake, root, now, settings.evaluation).resolve()
    create_link_artifact(link_to(settings, first), key="site", link_text="Open the site")
    return first
