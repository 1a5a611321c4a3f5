"""Shards on a server warehouse end where one machine on a folder ends, to the byte."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest

from flows.platform.display import IngestSummary
from flows.settings import ConfigSelection, load_settings
from tests.builders.command_line import REPOSITORY
from warehouse.lake import Lake, LakeSpec

pytestmark = pytest.mark.slow

DAYS = (date(2012, 9, 3), date(2012, 11, 2))
TABLES = ("bars", "actions", "headlines", "headline_tickers", "examples", "sessions", "tickers")


def selection(root: Path, *overrides: str) -> ConfigSelection:
    split = "dataset.split"
    return ConfigSelection(
        config=REPOSITORY / "newsvane.toml",
        overrides=(
            f"data_root={root}",
            f"{split}.start=2012-09-03",
            f"{split}.train_until=2012-10-05",
            f"{split}.validation_until=2012-10-19",
            f"{split}.end=2012-11-02",
            *overrides,
        ),
    )


def content(chosen: ConfigSelection) -> dict[str, list[str]]:
    """Every row of every table that a data set can depend on, without how it came to be known."""
    settings = load_settings(chosen.config, chosen.profile, chosen.overrides)
    with Lake.open(settings.warehouse) as lake:
        return {
            table: sorted(
                json.dumps(row, default=str, sort_keys=True)
                for row in lake.sql(f"select * from {table}").to_pylist()
            )
            for table in TABLES
        }


def hashes(root: Path, dataset_id: str) -> dict[str, str]:
    manifest = json.loads((root / "datasets" / dataset_id / "manifest.json").read_text())
    return {
        file["name"]: file["sha256"]
        for split in manifest["splits"].values()
        for file in split["files"]
    }


class Alone(NamedTuple):
    """What one machine made of it: rows published, the data set's files, every row."""

    summary: IngestSummary
    files: dict[str, str]
    content: dict[str, list[str]]


@pytest.fixture(scope="module")
def alone(prefect_runs: str, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    from flows.dataset import build_dataset
    from flows.ingest import ingest

    root = tmp_path_factory.mktemp("alone")
    summary = ingest(selection(root), *DAYS)
    built = build_dataset(selection(root))
    return Alone(summary, hashes(root, built.dataset_id), content(selection(root)))


def on_a_server(shared: LakeSpec, root: Path, runner: str) -> ConfigSelection:
    return selection(
        root,
        f"shards.runner={runner}",
        "warehouse.threads=2",
        f"warehouse.catalog={shared.catalog}",
        f"warehouse.storage={shared.storage}",
        f"warehouse.landing={shared.landing}",
    )


def test_two_processes_equal_one_machine_to_the_byte(
    alone: Alone, machine: Callable[[str], LakeSpec], tmp_path: Path
) -> None:
    from flows.dataset import build_dataset
    from flows.shards import ingest_in_shards

    together = on_a_server(machine("shared"), tmp_path, "processes")
    sharded = ingest_in_shards(together, *DAYS)
    assert (sharded.bars, sharded.headlines) == (alone.summary.bars, alone.summary.headlines)
    assert sharded.bars > 200
    assert sharded.headlines > 100
    assert hashes(tmp_path, build_dataset(together).dataset_id) == alone.files
    assert content(together) == alone.content
    assert not (tmp_path / "lake").exists()
    assert not (tmp_path / "landing").exists()


@pytest.mark.skipif(
    not os.environ.get("NEWSVANE_DASK"),
    reason="set NEWSVANE_DASK=1: it takes two processor minutes",
)
def test_two_workers_of_a_dask_cluster_equal_one_machine(
    alone: Alone, machine: Callable[[str], LakeSpec], tmp_path: Path
) -> None:
    from flows.shards import ingest_in_shards

    pytest.importorskip("prefect_dask", reason="prefect-dask is not installed")
    together = on_a_server(machine("shared"), tmp_path, "dask")
    sharded = ingest_in_shards(together, *DAYS, what=("prices",))
    assert sharded.bars == alone.summary.bars
    found = content(together)
    assert found["bars"] == alone.content["bars"]
    assert found["actions"] == alone.content["actions"]
