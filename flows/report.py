"""Report flows: the page on one data set, and the site."""

from __future__ import annotations

import contextlib
from pathlib import Path

from prefect.artifacts import create_link_artifact

from flows.connections import NoDatasetError, clock_of, find_dataset
from flows.platform.display import link_to
from flows.platform.runtime import DatasetId, configured_flow
from flows.settings import Settings
from tasks.report.page.collect import collect
from tasks.report.page.page import write_index
from tasks.report.page.page import write_report as write_page
from tasks.report.site.site import write_site as write_pages
from warehouse.lake import Lake


@configured_flow("report")
def write_report(settings: Settings, dataset_id: DatasetId = None) -> Path:
    """Write `report/DATASET.html` below the data root, bring the index up to date; its path.

    Without any data set it is `report/warehouse.html`, on what came in.
    """
    folder = settings.data_root / "report"
    with contextlib.suppress(NoDatasetError) if dataset_id is None else contextlib.nullcontext():
        dataset_id = find_dataset(settings, dataset_id).dataset_id
    with Lake.open(settings.warehouse) as lake:
        data = collect(lake, dataset_id=dataset_id, spec=settings.evaluation)
        name = dataset_id or "warehouse"
        path = write_page(data, folder / f"{name}.html").resolve()
        write_index(lake, folder)
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
