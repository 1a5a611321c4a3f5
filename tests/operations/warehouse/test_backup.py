"""A backup holds everything, says so by hashes, and comes back elsewhere as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.warehouse import LONG_AFTER, sessions_of
from warehouse.lake import Lake, LakeSpec
from warehouse.ops.backup import BackupError, back_up, verify_backup
from warehouse.ops.catalog_copy import CatalogCopyError
from warehouse.ops.restore import restore
from warehouse.storage.landing import Landing, Payload

BODY = b"an answer" * 50


def fill(spec: LakeSpec, prefix: str) -> int:
    """Rows that are a data file, one that is kept in the catalog, and a payload."""
    table = sessions_of(*(f"{prefix}{number}" for number in range(500)))
    with Lake.open(spec) as lake:
        Landing.of(spec).store(Payload("s", "u", 200, (), BODY + prefix.encode(), LONG_AFTER))
        lake.transact(lambda tx: tx.append("sessions", table))
        lake.transact(lambda tx: tx.append("sessions", table.slice(0, 1)))
        return lake.snapshot_id()


def elsewhere(spec: LakeSpec, folder: Path) -> LakeSpec:
    return spec.model_copy(
        update={
            "catalog": f"sqlite:{folder / 'other.sqlite'}",
            "storage": str(folder / "files"),
            "landing": str(folder / "payloads"),
            "lock": folder / "other.lock",
        }
    )


def rows(spec: LakeSpec, snapshot: int | None = None) -> list[dict[str, object]]:
    with Lake.open(spec, snapshot=snapshot) as lake:
        return lake.sql("select * from sessions order by all").to_pylist()


@pytest.fixture
def backup(lake_spec: LakeSpec, tmp_path: Path) -> Path:
    fill(lake_spec, "A")
    back_up(lake_spec, tmp_path / "backup")
    return tmp_path / "backup"


def test_restored_warehouse_is_the_same_in_another_place(
    lake_spec: LakeSpec, tmp_path: Path
) -> None:
    first = fill(lake_spec, "A")
    then = rows(lake_spec)
    fill(lake_spec, "B")
    made = back_up(lake_spec, tmp_path / "backup")
    before = rows(lake_spec)
    for folder in ("lake", "landing"):
        (tmp_path / folder).rename(tmp_path / f"gone-{folder}")
    there = elsewhere(lake_spec, tmp_path / "there")
    assert restore(tmp_path / "backup", there) == made
    assert rows(there) == before
    assert rows(there, snapshot=first) == then
    assert len(list(Landing.of(there).landed())) == 2
    fill(there, "C")
    assert len(rows(there)) == len(before) + 501


def test_second_backup_copies_only_what_is_new(lake_spec: LakeSpec, backup: Path) -> None:
    old = {path: path.stat().st_mtime_ns for path in backup.rglob("*.parquet")}
    assert old
    fill(lake_spec, "B")
    again = back_up(lake_spec, backup)
    assert {path: path.stat().st_mtime_ns for path in old} == old
    assert verify_backup(backup) == again
    assert len(list(backup.rglob("*.parquet"))) > len(old)


@pytest.mark.parametrize("pattern", ["catalog-*.sqlite", "lake/**/*.parquet", "landing/*/*.gz"])
def test_altered_backup_is_refused_before_anything_is_restored(
    lake_spec: LakeSpec, backup: Path, tmp_path: Path, pattern: str
) -> None:
    damaged = next(iter(sorted(backup.glob(pattern))))
    body = bytearray(damaged.read_bytes())
    body[len(body) // 2] ^= 1
    damaged.write_bytes(body)
    there = elsewhere(lake_spec, tmp_path / "there")
    with pytest.raises(BackupError, match=f"{damaged.name}.*altered or damaged"):
        restore(backup, there)
    assert not (tmp_path / "there").exists()


def test_lost_file_of_a_backup_is_named(backup: Path) -> None:
    lost = next(iter(backup.rglob("*.parquet")))
    lost.unlink()
    with pytest.raises(BackupError, match=f"{lost.name} is missing"):
        verify_backup(backup)


def test_interrupted_backup_is_no_backup(backup: Path) -> None:
    (backup / "backup.json").unlink()
    with pytest.raises(BackupError, match="no finished backup"):
        verify_backup(backup)


def test_restore_never_overwrites_a_warehouse(lake_spec: LakeSpec, backup: Path) -> None:
    before = rows(lake_spec)
    with pytest.raises(CatalogCopyError, match="never overwrites"):
        restore(backup, lake_spec)
    assert rows(lake_spec) == before


def test_sqlite_backup_is_not_taken_for_a_postgres_one(lake_spec: LakeSpec, backup: Path) -> None:
    other = lake_spec.model_copy(update={"catalog": "postgres:dbname=none"})
    with pytest.raises(BackupError, match="holds a sqlite catalog"):
        restore(backup, other)
