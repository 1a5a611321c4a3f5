"""Hazard of rotten files: a byte of a data file changes, or a file is cut off or gone, unseen."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.checks.integrity import VerifyReport, seal, verify
from tasks.prediction.registry import ADAPTER_FILE
from tests.builders.command_line import Newsvane
from tests.builders.rows import append, model, registered
from tests.builders.warehouse import OpenLake, lake_spec_below, sessions_of
from warehouse.lake import Lake, LakeError, LakeSpec
from warehouse.ops.files import check_files
from warehouse.ops.maintenance import MaintenanceSpec, maintain
from warehouse.storage.landing import Landing
from warehouse.tables.models import read_models, store_model

NOW = datetime.now(UTC)


def put(lake: Lake, prefix: str) -> None:
    """A commit with enough rows for a data file of their own."""
    rows = sessions_of(*(f"{prefix}{number}" for number in range(500)))
    lake.transact(lambda tx: tx.append("sessions", rows))


def check(spec: LakeSpec) -> VerifyReport:
    with Lake.open(spec) as lake:
        return verify(lake, Landing.of(spec))


def data_files(spec: LakeSpec) -> list[Path]:
    return sorted(Path(spec.storage).rglob("*.parquet"))


def flip(path: Path, place: float = 0.5) -> None:
    body = bytearray(path.read_bytes())
    body[int(len(body) * place)] ^= 1
    path.write_bytes(body)


@pytest.fixture
def filled(open_lake: OpenLake, tmp_path: Path) -> LakeSpec:
    """Three data files and one of deleted rows."""
    with open_lake(tmp_path) as lake:
        for prefix in "ABC":
            put(lake, prefix)
        lake.transact(
            lambda tx: tx.upsert(
                "sessions",
                sessions_of(*(f"A{n}" for n in range(50)), hour=9),
                ("exchange", "session"),
            )
        )
        return lake.spec


def test_flipped_byte_of_any_data_file_is_named(filled: LakeSpec) -> None:
    files, landing = data_files(filled), Landing.of(filled)
    assert len(files) >= 4
    with Lake.open(filled) as lake:
        assert verify(lake, landing).sound
        for path in files:
            whole = path.read_bytes()
            name = path.relative_to(filled.storage).as_posix()
            for place in (0.01, 0.3, 0.7, 0.99):
                flip(path, place)
                assert [name] == [found for found, _ in check_files(lake).problems]
                path.write_bytes(whole)
            flip(path)
            assert name in {one.record_id for one in verify(lake, landing).findings}
            path.write_bytes(whole)
        assert verify(lake, landing).sound


def test_every_missing_cut_and_altered_file_is_in_one_list(filled: LakeSpec) -> None:
    gone, cut, empty, altered = data_files(filled)[:4]
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-100])
    empty.write_bytes(b"")
    flip(altered)
    report = check(filled)
    problems = {Path(one.record_id).name: one.problem for one in report.findings}
    assert "missing" in problems[gone.name]
    assert "bytes, expected" in problems[cut.name]
    assert "0 bytes, expected" in problems[empty.name]
    assert "hashes to" in problems[altered.name]
    assert not report.sound


def test_damage_to_what_verification_itself_reads_is_a_finding(
    open_lake: OpenLake, tmp_path: Path
) -> None:
    """Seals, data sets and models lie in data files too: these cannot be read, and that is said."""
    with open_lake(tmp_path) as lake:
        rows = [registered(f"d{number}", (NOW, NOW)) for number in range(30)]
        append(lake, "datasets", rows)
        seal(lake, now=NOW)
    damaged = data_files(lake.spec)
    for path in damaged:
        path.write_bytes(b"PAR1 this is no longer a table PAR1")
    report = check(lake.spec)
    named = {one.record_id for one in report.findings if one.subject == "data file"}
    assert named == {path.relative_to(lake.spec.storage).as_posix() for path in damaged}
    assert any("could not be read" in one.problem for one in report.findings)


def test_damaged_page_of_the_catalog_is_a_finding(filled: LakeSpec) -> None:
    """An index that holds what its table does not: it opens, and may answer wrongly."""
    lies = "CREATE INDEX by_line ON notes (line) WHERE line > '5'"
    with closing(sqlite3.connect(filled.catalog_location)) as catalog:
        catalog.execute("CREATE TABLE notes (line TEXT)")
        catalog.executemany("INSERT INTO notes VALUES (?)", [(str(n),) for n in range(9)])
        catalog.execute("CREATE INDEX by_line ON notes (line)")
        catalog.execute("PRAGMA writable_schema = ON")
        catalog.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'by_line'", (lies,))
        catalog.commit()
    (found,) = check(filled).findings
    assert found.subject == "catalog"


def test_files_from_before_there_were_hashes_are_hashed_by_maintenance(filled: LakeSpec) -> None:
    with Lake.open(filled) as lake:
        lake._connection.execute("DELETE FROM __ducklake_metadata_lake.newsvane_file_hashes")
    report = check(filled)
    assert report.sound
    assert "no hash yet" in report.words
    cut = data_files(filled)[0]
    whole = cut.read_bytes()
    cut.write_bytes(whole[:50])
    assert [Path(one.record_id).name for one in check(filled).findings] == [cut.name]
    cut.write_bytes(whole)
    with Lake.open(filled) as lake:
        maintain(lake, Landing.of(filled), MaintenanceSpec(), now=NOW)
    assert "no hash yet" not in check(filled).words
    flip(data_files(filled)[0])
    assert not check(filled).sound


def test_merged_files_are_hashed_and_hashes_of_deleted_ones_dropped(filled: LakeSpec) -> None:
    with Lake.open(filled) as lake:
        maintain(lake, Landing.of(filled), MaintenanceSpec(), now=NOW + timedelta(days=400))
        hashes = "SELECT count(*) FROM __ducklake_metadata_lake.newsvane_file_hashes"
        assert lake._connection.execute(hashes).fetchone() == (len(data_files(filled)),)
    for path in data_files(filled):
        whole = path.read_bytes()
        flip(path)
        assert not check(filled).sound
        path.write_bytes(whole)


def test_reading_a_damaged_file_says_so_in_a_sentence(filled: LakeSpec) -> None:
    first, *others = data_files(filled)
    first.write_bytes(first.read_bytes()[:-20])
    with Lake.open(filled) as lake, pytest.raises(LakeError, match="newsvane verify"):
        lake.read("sessions_of_exchange", {"exchange": "A1"})
    for path in others:
        path.unlink()
    with Lake.open(filled) as lake, pytest.raises(LakeError, match="newsvane verify"):
        lake.transact(lambda tx: tx.read("sessions_of_exchange", {"exchange": "B1"}))


def with_files(spec: LakeSpec) -> None:
    """A data set and a model whose files lie below the data root."""
    folder = spec.root / "datasets" / "d1"
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text("{}\n", encoding="utf-8")
    digest = hashlib.sha256(b"{}\n").hexdigest()
    manifest = json.dumps(
        {"splits": {"test": {"files": [{"name": "test.jsonl", "sha256": digest}]}}}
    )
    (folder / "manifest.json").write_text(manifest, encoding="utf-8")
    adapter = spec.root / "models" / "m1"
    adapter.mkdir(parents=True)
    (adapter / ADAPTER_FILE).write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    with Lake.open(spec) as lake:
        row = registered("d1", (NOW, NOW)) | {"path": spec.named(folder), "manifest": manifest}
        append(lake, "datasets", [row])
        store_model(lake, model("m1", adapter_sha256=sha256, path=adapter, created_at=NOW))


@pytest.fixture
def relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeSpec:
    """A data root that was given by a relative path, as ./newsvane.toml gives it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    spec = lake_spec_below(Path("data"))
    with_files(spec)
    return spec


def test_verification_finds_files_from_whatever_folder_it_runs_in(
    relative: LakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(relative).files == 3
    monkeypatch.chdir(tmp_path)
    far = lake_spec_below(tmp_path / "here" / "data")
    report = check(far)
    assert report.sound, report.words
    with Lake.open(far) as lake:
        (found,) = read_models(lake)
    assert (found.path / ADAPTER_FILE).is_file()


@pytest.mark.parametrize("written", ["here/data/{kind}/{id}", "{root}/{kind}/{id}", "{kind}/{id}"])
def test_copied_data_root_is_checked_by_its_own_files(tmp_path: Path, written: str) -> None:
    """Former releases stored paths as they were given: below the working directory, or absolute."""
    root = tmp_path / "data"
    spec = lake_spec_below(root)
    with_files(spec)
    paths = {
        kind: written.format(root=root, kind=kind, id=name)
        for kind, name in (("datasets", "d1"), ("models", "m1"))
    }
    with Lake.open(spec) as lake:
        for table, path in paths.items():
            lake.transact(
                lambda tx, table=table, path=path: tx._connection.execute(
                    f"UPDATE {table} SET path = '{path}'"
                )
            )
    shutil.copytree(root, tmp_path / "copy")
    copy = lake_spec_below(tmp_path / "copy")
    assert check(copy).sound
    (tmp_path / "copy" / "datasets" / "d1" / "test.jsonl").write_text("[]\n")
    (tmp_path / "copy" / "models" / "m1" / ADAPTER_FILE).unlink()
    assert {one.subject for one in check(copy).findings} == {"dataset", "model"}
    assert check(spec).sound
    shutil.rmtree(root / "datasets")
    assert "missing" in check(spec).words


def test_command_lists_every_finding(filled: LakeSpec, newsvane: Newsvane, tmp_path: Path) -> None:
    here = {"NEWSVANE_DATA_ROOT": str(tmp_path)}
    assert newsvane("verify", **here).returncode == 0
    files = data_files(filled)
    for path in files:
        path.unlink()
    answer = newsvane("verify", **here)
    assert answer.returncode == 1
    assert answer.stdout.count("is missing") == len(files)
