"""The data set: examples, validation, files, identity."""

from __future__ import annotations

import json

from prefect.artifacts import create_markdown_artifact

from flows.connections import clock_of
from flows.platform.progress import current_sink
from flows.platform.runtime import configured_flow
from flows.settings import Settings
from tasks.dataset.build import assemble_dataset
from tasks.dataset.spec.manifest import DatasetManifest
from warehouse.lake import Lake


class NoDatasetError(RuntimeError):
    """There is no such data set; the message says how to make one."""


@configured_flow("dataset", hours=6)
def build_dataset(settings: Settings) -> DatasetManifest:
    """Build the configured data set from what the warehouse holds; an equal one is found again."""
    sink = current_sink()
    sink.advance("data set", 0, 1)
    with Lake.open(settings.warehouse) as lake:
        manifest = assemble_dataset(
            lake,
            settings.dataset,
            settings.data_root / "datasets",
            now=clock_of(settings)(),
        )
    sink.advance("data set", 1, 1, manifest.dataset_id)
    card = (settings.data_root / "datasets" / manifest.dataset_id / "card.md").read_text("utf-8")
    create_markdown_artifact(card, key="dataset-card", description=manifest.dataset_id)
    return manifest


def find_dataset(settings: Settings, dataset_id: str | None) -> DatasetManifest:
    """The manifest of one data set, the newest by default. Raises NoDatasetError."""
    with Lake.open(settings.warehouse) as lake:
        rows = lake.read("datasets_newest", {"dataset_id": dataset_id}).to_pylist()
    if not rows:
        wanted = f"data set {dataset_id!r}" if dataset_id else "any data set"
        raise NoDatasetError(
            f"The warehouse does not know {wanted}. Build one with `newsvane dataset build`; "
            '`newsvane sql "from datasets"` lists those there are.'
        )
    return DatasetManifest.model_validate(json.loads(rows[0]["manifest"]))
