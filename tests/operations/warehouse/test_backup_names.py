"""A backup from elsewhere may name nothing outside of itself, and is restored to nowhere else."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders.warehouse import LONG_AFTER, OpenLake, lake_spec_below, sessions_of
from warehouse.lake import LakeSpec
from warehouse.ops.backup import BackupError, back_up, verify_backup
from warehouse.ops.restore import restore
from warehouse.storage import unpacking
from warehouse.storage.landing import Landing, LandingError, Payload
from warehouse.storage.unpacking import colliding_names, fault_of_name

OUTSIDE = b"a file that is no part of it"


@pytest.fixture
def backup(open_lake: OpenLake, tmp_path: Path) -> Path:
    """A backup of a warehouse with a data file and a payload, in `inner/backup`."""
    Landing(tmp_path / "landing").store(Payload("s", "u", 200, (), b"x" * 99, LONG_AFTER))
    with open_lake(tmp_path) as lake:
        names = [f"X{number}" for number in range(500)]
        lake.transact(lambda tx: tx.append("sessions", sessions_of(*names)))
    back_up(lake_spec_below(tmp_path), tmp_path / "inner" / "backup")
    return tmp_path / "inner" / "backup"


def also_names(backup: Path, name: str, body: bytes = OUTSIDE) -> None:
    """List one more file in the manifest, with the hash that it really has."""
    path = backup / "backup.json"
    manifest = json.loads(path.read_text())
    listed = {"name": name, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    manifest["files"].append(listed)
    path.write_text(json.dumps(manifest))


def there(tmp_path: Path) -> LakeSpec:
    return LakeSpec(threads=1).placed_below(tmp_path / "there" / "deep")


def everything(tmp_path: Path) -> set[str]:
    return {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}


def refused(backup: Path, tmp_path: Path) -> str:
    """What verify-backup and restore say; nothing was written by either."""
    before = everything(tmp_path)
    with pytest.raises(BackupError) as verified:
        verify_backup(backup)
    with pytest.raises(BackupError, match="nothing was read or restored"):
        restore(backup, there(tmp_path))
    assert everything(tmp_path) == before
    return str(verified.value)


@pytest.mark.parametrize(
    "name",
    [
        "landing/../../outside", "lake/../../outside", "landing/x/../../../outside", "../outside",
        "landing/./../../outside", "{tmp}/inner/outside", "landing/{tmp}/inner/outside",
        "landing//../../outside", "landing/..", "landing", "", "backup.json", "stray/file",
        "lake/..\\..\\outside", "lake/C:/outside", "landing/ok\x00", "landing/dots.../x",
        "catalog.pgdump", "landingx/y",
    ],
)  # fmt: skip
def test_name_that_leads_out_is_refused(backup: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "inner" / "outside").write_bytes(OUTSIDE)
    also_names(backup, name.replace("{tmp}", str(tmp_path)))
    assert "names " in refused(backup, tmp_path)


Planted = Callable[[Path, Path], Any]


@pytest.mark.parametrize(
    "plant",
    [
        lambda path, outside: path.symlink_to(outside),
        lambda path, outside: path.symlink_to("/dev/zero"),
        lambda path, outside: os.mkfifo(path),
        lambda path, outside: path.mkdir(),
    ],
)
def test_what_is_no_file_of_its_own_is_never_opened(
    backup: Path, tmp_path: Path, plant: Planted
) -> None:
    (tmp_path / "inner" / "outside").write_bytes(OUTSIDE)
    plant(backup / "landing" / "planted", tmp_path / "inner" / "outside")
    also_names(backup, "landing/planted")
    assert "'landing/planted'" in refused(backup, tmp_path)


def test_file_behind_a_linked_folder_is_refused(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_bytes(OUTSIDE)
    (backup / "landing" / "linked").symlink_to(tmp_path / "elsewhere")
    also_names(backup, "landing/linked/x")
    assert "behind a link" in refused(backup, tmp_path)


@pytest.mark.parametrize("second", ["landing/NOTE", "landing/note", "landing/note/x"])
def test_names_that_are_one_file_elsewhere_are_refused(
    backup: Path, tmp_path: Path, second: str
) -> None:
    for name in ("landing/note", second):
        also_names(backup, name)
    assert "one file elsewhere" in refused(backup, tmp_path)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ducklake_files_scheduled_for_deletion (path, path_is_relative)"
        " VALUES ('{outside}', 0)",
        "INSERT INTO ducklake_files_scheduled_for_deletion (path, path_is_relative)"
        " VALUES ('main/../../outside', 1)",
        "UPDATE ducklake_data_file SET path = '{outside}', path_is_relative = 0",
        "UPDATE ducklake_table SET path = '../../'",
    ],
)
def test_catalog_that_would_have_upkeep_delete_other_files_is_refused(
    backup: Path, tmp_path: Path, statement: str
) -> None:
    [catalog] = backup.glob("catalog-*.sqlite")
    with closing(sqlite3.connect(catalog)) as copy:
        copy.execute(statement.format(outside=tmp_path / "outside"))
        copy.commit()
    path = backup / "backup.json"
    manifest = json.loads(path.read_text())
    for file in manifest["files"]:
        if file["name"] == catalog.name:
            body = catalog.read_bytes()
            file |= {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    path.write_text(json.dumps(manifest))
    assert "outside of the lake" in refused(backup, tmp_path)


def test_backup_of_ours_is_restored_as_ever(backup: Path, tmp_path: Path) -> None:
    before = set(backup.rglob("*"))
    assert len(restore(backup, there(tmp_path)).files) == 5
    assert set(backup.rglob("*")) == before


@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4))
def test_ordinary_names_are_allowed(parts: list[str]) -> None:
    name = "/".join(parts)
    assert fault_of_name(name) is None
    assert colliding_names([name]) is None


@pytest.mark.parametrize(
    "names",
    [("a", "A"), ("straße", "STRASSE"), ("é", "e\u0301"), ("a/b", "A"), ("a", "a/b"), ("x", "x")],
)
def test_names_that_a_file_system_takes_for_one_collide(names: tuple[str, str]) -> None:
    assert colliding_names(names) == names


def test_payload_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "ALLOWANCE", 1 << 20)
    body = bytes(32 << 20)
    payload_id = hashlib.sha256(body).hexdigest()
    path = tmp_path / payload_id[:2] / f"{payload_id}.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(body))
    with pytest.raises(LandingError, match="packed bytes hold more than"):
        Landing(tmp_path).load(payload_id)
