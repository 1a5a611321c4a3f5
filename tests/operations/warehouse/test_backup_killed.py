"""Hazard of a kill: the only backup is gone, or a half restored warehouse passes for a whole one.

The child is killed by SIGKILL before its Nth change of a file, for every N there is: Python tells
an audit hook of each file that is opened for writing, renamed, deleted, or made.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders.forks import Forks, forks_of, serve
from tests.builders.warehouse import LONG_AFTER, OpenLake, lake_spec_below, sessions_of
from warehouse.lake import Lake, LakeError, LakeSpec
from warehouse.lake.identity import MARK, is_restoring
from warehouse.ops.backup import back_up, verify_backup
from warehouse.ops.restore import restore
from warehouse.storage.landing import Landing, Payload

CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "shutil.copyfile", "sqlite3.connect"})
EVERY = 1 if os.environ.get("NEWSVANE_KILLS") else 4
"""Which of the moments are tried: every one, or every fourth."""


def fill(spec: LakeSpec, prefix: str) -> None:
    """Rows that are a data file, and a payload."""
    rows = sessions_of(*(f"{prefix}{number}" for number in range(500)))
    with Lake.open(spec) as lake:
        body = f"an answer of {prefix}".encode()
        Landing.of(spec).store(Payload("s", "u", 200, (), body, LONG_AFTER))
        lake.transact(lambda tx: tx.append("sessions", rows))


def count(spec: LakeSpec) -> int:
    with Lake.open(spec) as lake:
        return int(lake.sql("select count(*) n from sessions")["n"][0].as_py())


def marks(spec: LakeSpec) -> list[str]:
    """What storage and landing zone say of whose they are."""
    places = (Path(spec.storage, MARK), Path(spec.landing, MARK))
    return [place.read_text() for place in places if place.is_file()]


def work(verb: str, source: str, backup: str, moment: int) -> None:
    """Back up the warehouse below `source`, or restore to it, and be killed at the moment."""
    places = (source, backup)
    left = moment

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE
        if not (writes or event in CHANGES) or not str(arguments[0]).startswith(places):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    spec = lake_spec_below(Path(source))
    if verb == "backup":
        back_up(spec, Path(backup))
    else:
        restore(Path(backup), spec)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with forks_of(__file__) as found:
        yield found


def run_killed(forks: Forks, verb: str, spec: LakeSpec, backup: Path, moment: int) -> bool:
    """Whether the child was killed before it had ended."""
    child = forks.run(spec.root, verb, str(spec.root), str(backup), moment)
    status = forks.ask(f"wait {child.pid}")
    assert status in (0, signal.SIGKILL), child.log.read_text()
    return status == signal.SIGKILL


@pytest.fixture
def source(open_lake: OpenLake, tmp_path: Path) -> LakeSpec:
    open_lake(tmp_path / "source").close()
    spec = lake_spec_below(tmp_path / "source")
    fill(spec, "A")
    return spec


@pytest.mark.slow
def test_backup_killed_at_any_moment_leaves_a_whole_one(
    forks: Forks, source: LakeSpec, tmp_path: Path
) -> None:
    first = back_up(source, tmp_path / "first")
    fill(source, "B")
    killed = 0
    for moment in range(1, 1000, EVERY):
        backup = tmp_path / f"backup-{moment}"
        shutil.copytree(tmp_path / "first", backup)
        if not run_killed(forks, "backup", source, backup, moment):
            break
        killed += 1
        found = verify_backup(backup)
        assert found == first or found.snapshot_id > first.snapshot_id
        if killed % 3 == 1:
            again = back_up(source, backup)
            assert verify_backup(backup) == again
            assert not list(backup.rglob("*.partial"))
            assert {path.name for path in backup.glob("catalog*")} == {again.catalog}
    assert killed >= 24 / EVERY
    there = lake_spec_below(tmp_path / "there")
    restore(backup, there)
    assert count(there) == 1000


@pytest.mark.slow
def test_restore_killed_at_any_moment_is_run_again_and_is_whole(
    forks: Forks, source: LakeSpec, tmp_path: Path
) -> None:
    fill(source, "B")
    backup = tmp_path / "backup"
    back_up(source, backup)
    killed = refused = 0
    for moment in range(1, 1000, EVERY):
        there = lake_spec_below(tmp_path / f"there-{moment}")
        there.root.mkdir()
        if not run_killed(forks, "restore", there, backup, moment):
            break
        killed += 1
        if not {path.suffix for path in there.root.glob("l*/*")} - {".partial"}:
            continue  # nothing was there yet: a new warehouse may be begun
        if not any(map(is_restoring, marks(there))):
            assert count(there) == 1000  # killed when all was done
            continue
        before = sorted(there.root.glob("l*/**/*"))
        for opener in (Lake.open, Lake.reading):
            with pytest.raises(LakeError, match="newsvane restore"):
                opener(there)
        assert sorted(there.root.glob("l*/**/*")) == before
        refused += 1
        restore(backup, there)
        assert count(there) == 1000
        assert not list(there.root.rglob("*.partial*"))
    assert killed >= 24 / EVERY
    assert refused >= 16 / EVERY
    assert count(there) == 1000


def test_restore_goes_on_over_what_a_lost_catalog_left(source: LakeSpec, tmp_path: Path) -> None:
    """Its files are still there, its log too: that would be read as changes to the restored one."""
    backup = tmp_path / "backup"
    back_up(source, backup)
    fill(source, "B")
    catalog = Path(source.catalog_location)
    catalog.unlink()
    for ending in ("-wal", "-shm"):
        catalog.with_name(f"{catalog.name}{ending}").write_bytes(b"\x37\x7f\x06\x82" + b"x" * 5000)
    written = {path: path.stat().st_mtime_ns for path in Path(source.storage).rglob("*.parquet")}
    restore(backup, source)
    assert count(source) == 500
    assert {path: path.stat().st_mtime_ns for path in written} == written


@pytest.mark.parametrize("left", [b"", None])
def test_restore_replaces_an_emptied_catalog(
    source: LakeSpec, tmp_path: Path, left: bytes | None
) -> None:
    back_up(source, tmp_path / "backup")
    Path(source.catalog_location).unlink()
    if left is not None:
        Path(source.catalog_location).write_bytes(left)
    restore(tmp_path / "backup", source)
    assert count(source) == 500


def test_restore_over_the_files_of_another_warehouse_is_refused(
    source: LakeSpec, tmp_path: Path
) -> None:
    back_up(source, tmp_path / "backup")
    other = lake_spec_below(tmp_path / "other")
    fill(other, "B")
    Path(other.catalog_location).unlink()
    before = sorted(other.root.rglob("*"))
    with pytest.raises(LakeError, match="files of the warehouse"):
        restore(tmp_path / "backup", other)
    assert sorted(other.root.rglob("*")) == before


def test_database_of_something_else_is_not_overwritten_by_a_restore(
    source: LakeSpec, tmp_path: Path
) -> None:
    back_up(source, tmp_path / "backup")
    there = lake_spec_below(tmp_path / "there")
    there.root.mkdir()
    with sqlite3.connect(there.catalog_location) as database:
        database.execute("CREATE TABLE notes (line TEXT)")
    with pytest.raises(LakeError, match="never overwrites"):
        restore(tmp_path / "backup", there)


def test_good_copy_in_the_backup_is_not_given_up_for_a_damaged_or_lost_file(
    source: LakeSpec, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    back_up(source, backup)
    (lost,) = Path(source.storage).rglob("*.parquet")
    (payload,) = Path(source.landing).rglob("*.gz")
    whole = lost.read_bytes()
    lost.write_bytes(whole[:-10])
    with pytest.raises(LakeError, match="is damaged"):
        back_up(source, backup)
    verify_backup(backup)
    lost.unlink()
    payload_row = {"payload_id": payload.name.removesuffix(".gz")}
    with Lake.open(source) as lake:
        lake._connection.execute(
            "INSERT INTO payloads SELECT $payload_id, 's', 'u', 200, '[]', 1, now()", payload_row
        )
    payload.unlink()
    back_up(source, backup)
    there = lake_spec_below(tmp_path / "there")
    restore(backup, there)
    assert count(there) == 500
    assert len(list(Path(there.landing).rglob("*.gz"))) == 1


def test_damaged_or_missing_file_is_not_backed_up_as_if_it_were_whole(
    source: LakeSpec, tmp_path: Path
) -> None:
    (path,) = Path(source.storage).rglob("*.parquet")
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    with pytest.raises(LakeError, match=r"expected .*damaged"):
        back_up(source, tmp_path / "backup")
    with pytest.raises(LakeError, match="no finished backup"):
        verify_backup(tmp_path / "backup")
    path.rename(tmp_path / "away.parquet")
    with pytest.raises(LakeError, match="missing from the warehouse"):
        back_up(source, tmp_path / "backup")


if __name__ == "__main__":
    serve(work)
