"""The data set: examples, validation, files, identity."""

from __future__ import annotations

from prefect.artifacts import create_markdown_artifact

from flows.connections import clock_of
from flows.platform.display import current_sink
from flows.platform.runtime import configured_flow
from flows.settings import Settings
from flows.universe import record_universe
from tasks.dataset.build import assemble_dataset
from tasks.dataset.rebuild import read_card
from tasks.dataset.spec.manifest import DatasetManifest
from warehouse.lake import Lake


@configured_flow("dataset", hours=6)
def build_dataset(settings: Settings) -> DatasetManifest:
    """Build the configured data set from what the warehouse holds; an equal one is found again."""
    sink = current_sink()
    sink.advance("data set", 0, 1)
    now = clock_of(settings)()
    with Lake.open(settings.warehouse) as lake:
        record_universe(lake, settings, now)
        manifest = assemble_dataset(
            lake, settings.dataset, settings.data_root / "datasets", now=now
        )
    sink.advance("data set", 1, 1, manifest.dataset_id)
    card = read_card(settings.data_root / "datasets" / manifest.dataset_id, manifest)
    create_markdown_artifact(card, key="dataset-card", description=manifest.dataset_id)
    return manifest
