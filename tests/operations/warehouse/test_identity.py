"""Hazard of a lost catalog: a new empty warehouse over the old files, which upkeep then deletes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tests.builders.command_line import Newsvane
from tests.builders.warehouse import LONG_AFTER, OpenLake, lake_spec_below, sessions_of
from warehouse.lake import Lake, LakeError, LakeSpec
from warehouse.lake.identity import MARK
from warehouse.ops.maintenance import MaintenanceSpec, maintain
from warehouse.storage.landing import Landing, Payload
from warehouse.tables.schemas import PAYLOADS

LATER = datetime.now(UTC) + timedelta(days=365)
PAYLOAD = Payload("s", "u", 200, (), b"an answer", LONG_AFTER)
Opener = Callable[[LakeSpec], Lake]


def put(lake: Lake, prefix: str) -> None:
    """A commit with enough rows for a data file of their own."""
    rows = sessions_of(*(f"{prefix}{number}" for number in range(500)))
    lake.transact(lambda tx: tx.append("sessions", rows))


def land(lake: Lake, body: bytes) -> None:
    """A payload and its row."""
    row = {
        "payload_id": Landing.of(lake.spec).store(Payload("s", "u", 200, (), body, LONG_AFTER)),
        "source": "s", "url": "u", "status": 200, "headers": "[]", "bytes": 9,
        "fetched_at": LONG_AFTER,
    }  # fmt: skip
    lake.transact(lambda tx: tx.append("payloads", pa.Table.from_pylist([row], PAYLOADS)))


def files(spec: LakeSpec) -> set[Path]:
    folders = (Path(spec.storage), Path(spec.landing))
    return {path for folder in folders for path in folder.rglob("*") if path.is_file()}


def count(spec: LakeSpec) -> int:
    with Lake.open(spec) as lake:
        return int(lake.sql("select count(*) n from sessions")["n"][0].as_py())


def write_time_back(spec: LakeSpec) -> None:
    """The warehouse as releases before there were marks left it."""
    for folder in (spec.storage, spec.landing):
        (Path(folder) / MARK).unlink(missing_ok=True)


@pytest.fixture
def filled(open_lake: OpenLake, tmp_path: Path) -> LakeSpec:
    """Two data files and a payload."""
    with open_lake(tmp_path) as lake:
        put(lake, "A")
        put(lake, "B")
        land(lake, PAYLOAD.body)
        return lake.spec


def gone(spec: LakeSpec) -> LakeSpec:
    Path(spec.catalog_location).unlink()
    return spec


def emptied(spec: LakeSpec) -> LakeSpec:
    Path(spec.catalog_location).write_bytes(b"")
    return spec


def without_tables(spec: LakeSpec) -> LakeSpec:
    Path(spec.catalog_location).unlink()
    with closing(sqlite3.connect(spec.catalog_location)) as database:
        database.execute("CREATE TABLE notes (line TEXT)")
        database.commit()
    return spec


def named_otherwise(spec: LakeSpec) -> LakeSpec:
    return spec.model_copy(update={"catalog": f"{spec.catalog}-of-yesterday"})


LOSSES = (gone, emptied, without_tables, named_otherwise)


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("lose", LOSSES)
def test_files_without_their_catalog_are_no_new_warehouse(
    filled: LakeSpec, lose: Callable[[LakeSpec], LakeSpec], marked: bool
) -> None:
    if not marked:
        write_time_back(filled)
    spec, before = lose(filled), files(filled)
    held = Path(spec.catalog_location).read_bytes() if lose in (emptied, without_tables) else None
    said = set()
    for opener in (Lake.open, Lake.reading):
        with pytest.raises(LakeError, match=r"newsvane restore FOLDER") as refused:
            opener(spec)
        said.add(str(refused.value))
    assert len(said) == 1
    assert files(filled) == before
    if held is None:
        assert not Path(spec.catalog_location).exists()
    else:
        assert Path(spec.catalog_location).read_bytes() == held


def test_payloads_alone_are_no_new_warehouse(filled: LakeSpec) -> None:
    shutil.rmtree(filled.storage)
    with pytest.raises(LakeError, match=r"landing.*newsvane restore"):
        Lake.open(gone(filled))


@pytest.mark.parametrize("opener", [Lake.open, Lake.reading])
@pytest.mark.parametrize("place", ["storage", "landing"])
def test_storage_of_another_warehouse_is_refused(
    filled: LakeSpec, open_lake: OpenLake, tmp_path: Path, opener: Opener, place: str
) -> None:
    other = lake_spec_below(tmp_path / "other")
    Lake.open(other).close()
    mixed = other.model_copy(update={place: getattr(filled, place)})
    before = files(filled)
    with pytest.raises(LakeError, match="belongs to the warehouse"):
        opener(mixed)
    assert files(filled) == before


def test_empty_catalog_that_a_former_release_made_over_the_files_is_refused(
    filled: LakeSpec, tmp_path: Path
) -> None:
    other = lake_spec_below(tmp_path / "other")
    Lake.open(other).close()
    write_time_back(filled)
    mixed = other.model_copy(update={"storage": filled.storage, "landing": filled.landing})
    with pytest.raises(LakeError, match="knows none of the 2 data files"):
        Lake.open(mixed)
    with Lake.open(other) as lake:
        land(lake, b"another answer")
    mixed = other.model_copy(update={"landing": filled.landing})
    with pytest.raises(LakeError, match="knows none of the 1 payloads"):
        Lake.open(mixed)


def test_former_warehouse_with_payloads_of_interrupted_batches_alone_is_opened(
    lake_spec: LakeSpec,
) -> None:
    Lake.open(lake_spec).close()
    write_time_back(lake_spec)
    Landing.of(lake_spec).store(PAYLOAD)
    assert count(lake_spec) == 0
    assert (Path(lake_spec.landing) / MARK).exists()


def test_empty_storage_is_not_taken_for_that_of_a_full_catalog(filled: LakeSpec) -> None:
    shutil.move(filled.storage, f"{filled.storage}-away")
    Path(filled.storage).mkdir()
    with pytest.raises(LakeError, match="none of the 2 data files that the catalog names"):
        Lake.open(filled)


def test_storage_that_is_not_there_is_named(filled: LakeSpec, tmp_path: Path) -> None:
    shutil.copytree(tmp_path, tmp_path / "copy")
    copy = lake_spec_below(tmp_path / "copy")
    shutil.rmtree(copy.storage)
    for opener in (Lake.open, Lake.reading):
        with pytest.raises(LakeError, match="newsvane restore"):
            opener(copy)


def test_warehouse_of_a_former_release_is_marked_when_it_is_opened(filled: LakeSpec) -> None:
    write_time_back(filled)
    with Lake.reading(filled):
        assert not (Path(filled.storage) / MARK).exists()
    assert count(filled) == 1000
    marks = {(Path(place) / MARK).read_text() for place in (filled.storage, filled.landing)}
    assert len(marks) == 1
    with pytest.raises(LakeError, match="newsvane restore"):
        Lake.open(gone(filled))


@pytest.mark.parametrize("torn", [b"", b"3f1c", b"\xff\xfe\x00"])
def test_torn_mark_is_written_again(filled: LakeSpec, torn: bytes) -> None:
    mark = Path(filled.storage) / MARK
    whole = mark.read_text()
    mark.write_bytes(torn)
    assert count(filled) == 1000
    assert mark.read_text() == whole


@pytest.mark.parametrize("catalog", [None, b""])
def test_interrupted_first_opening_is_begun_again(
    lake_spec: LakeSpec, catalog: bytes | None
) -> None:
    for folder in (lake_spec.storage, lake_spec.landing):
        Path(folder).mkdir()
    if catalog is not None:
        Path(lake_spec.catalog_location).write_bytes(catalog)
    assert count(lake_spec) == 0


def test_warehouse_copied_with_its_catalog_is_opened(filled: LakeSpec, tmp_path: Path) -> None:
    copy = lake_spec_below(tmp_path / "copy")
    for part in ("lake", "landing"):
        shutil.copytree(tmp_path / part, tmp_path / "copy" / part)
    shutil.copy(filled.catalog_location, copy.catalog_location)
    assert count(copy) == 1000


@pytest.fixture
def old_catalog(filled: LakeSpec, tmp_path: Path) -> LakeSpec:
    """The catalog of yesterday over the files of today, five of which it does not know."""
    shutil.copy(filled.catalog_location, tmp_path / "yesterday.sqlite")
    with Lake.open(filled) as lake:
        for prefix in "CDEFG":
            put(lake, prefix)
    return filled.model_copy(update={"catalog": f"sqlite:{tmp_path / 'yesterday.sqlite'}"})


def test_upkeep_under_an_old_catalog_deletes_nothing_and_says_what_it_would(
    old_catalog: LakeSpec,
) -> None:
    before = files(old_catalog)
    with Lake.open(old_catalog) as lake:
        landing = Landing.of(old_catalog)
        with pytest.raises(
            LakeError, match=r"5 of 7 data files.*sessions/ducklake-.*--delete-unknown"
        ):
            maintain(lake, landing, MaintenanceSpec(), now=LATER)
        assert files(old_catalog) == before
        done = maintain(lake, landing, MaintenanceSpec(), now=LATER, delete_unknown=True)
    assert done.orphans_deleted == 5


def test_upkeep_does_not_discard_most_of_the_payloads(filled: LakeSpec) -> None:
    landing = Landing.of(filled)
    for number in range(5):
        body = f"unknown {number}".encode()
        landing.store(Payload("s", "u", 200, (), body, LONG_AFTER))
    before = files(filled)
    with Lake.open(filled) as lake:
        with pytest.raises(LakeError, match=r"5 of 6 payloads"):
            maintain(lake, landing, MaintenanceSpec(), now=LATER)
        assert files(filled) == before


@pytest.mark.parametrize("words", [("verify",), ("sql", "from bars"), ("sources", "check")])
def test_command_names_restore_instead_of_finding_nothing(
    filled: LakeSpec, newsvane: Newsvane, tmp_path: Path, words: tuple[str, ...]
) -> None:
    here = {"NEWSVANE_DATA_ROOT": str(tmp_path)}
    assert newsvane(*words, **here).returncode == 0
    gone(filled)
    answer = newsvane(*words, **here)
    assert answer.returncode == 2
    assert "newsvane restore" in answer.stderr
    assert "Traceback" not in answer.stderr
