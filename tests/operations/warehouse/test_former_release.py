"""A data folder that an earlier release filled is carried over: migrated, rebuilt, verified."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.checks.integrity import verify
from tasks.dataset.build import assemble_dataset
from tasks.dataset.rebuild import read_manifest, rebuild_dataset
from warehouse.lake import Lake, LakeError, LakeSpec
from warehouse.lake.migrations import known_migrations
from warehouse.storage.landing import Landing

ARCHIVE = Path(__file__).parent / "former" / "data.tar.gz"
NOW = datetime(2013, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeSpec]:
    """The folder as it was left; its paths are relative to where that release ran."""
    root = tmp_path_factory.mktemp("former")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(root, filter="data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield LakeSpec().placed_below(Path("data"))


@pytest.fixture(scope="module")
def former(unpacked: LakeSpec) -> Iterator[Lake]:
    with pytest.raises(LakeError, match="brings it up to date"):
        Lake.reading(unpacked)
    with Lake.open(unpacked) as lake:
        yield lake


def count(lake: Lake, query: str) -> int:
    return int(lake.sql(f"select count(*) as n {query}")["n"][0].as_py())


def test_migrations_run_once_and_keep_every_row(former: Lake) -> None:
    versions = former.sql("select version from schema_versions order by all")["version"]
    assert versions.to_pylist() == [step.version for step in known_migrations()]
    counted = {
        table: count(former, f"from {table}") for table in ("bars", "actions", "headlines", "seals")
    }
    assert counted == {"bars": 392, "actions": 6, "headlines": 218, "seals": 1}


def test_the_data_set_is_built_again_to_the_byte(former: Lake, tmp_path: Path) -> None:
    (folder,) = Path("data/datasets").iterdir()
    manifest = read_manifest(folder)
    again = assemble_dataset(former, manifest.spec, tmp_path, now=NOW)
    assert again.dataset_id == manifest.dataset_id == folder.name
    for split in manifest.splits.values():
        for file in split.files:
            assert (tmp_path / folder.name / file.name).read_bytes() == (
                (folder / file.name).read_bytes()
            )
    assert again.model_copy(update={"snapshot_id": manifest.snapshot_id}) == manifest


def test_the_old_snapshot_derives_the_same_files(former: Lake) -> None:
    (folder,) = Path("data/datasets").iterdir()
    rebuilt = rebuild_dataset(former.spec, read_manifest(folder))
    assert rebuilt.identical, rebuilt.differences


def test_its_evaluations_and_predictions_are_read(former: Lake) -> None:
    (folder,) = Path("data/datasets").iterdir()
    rows = former.read("report_evaluations", {"dataset_id": folder.name}).to_pylist()
    overall = {row["predictor"] for row in rows if row["slice"] == "all"}
    assert {"majority", "momentum"} <= overall
    assert "majority" in {row["baseline"] for row in rows}
    assert not any("_vs_" in row["metric"] for row in rows)
    assert count(former, "from predictions where kind = 'forward'") > 0


def test_its_hash_chain_is_sound(former: Lake) -> None:
    report = verify(former, Landing.of(former.spec))
    assert report.sound, report.words
    assert report.records > 0
    assert report.payloads > 0
    assert report.files > 0
