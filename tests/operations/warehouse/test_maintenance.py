"""Upkeep removes what nothing needs, and never what a row, a data set or a snapshot needs."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tests.builders.warehouse import QUARANTINED, sessions_of
from warehouse.lake import Lake, LakeError, LakeSpec, sql
from warehouse.ops.maintenance import MaintenanceSpec, Upkeep, compact, expire_snapshots, maintain
from warehouse.storage.landing import Landing, Payload

SCHEMA = Path(__file__).parents[3] / "warehouse" / "sql" / "schema"
NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=365)
INSTANT = pa.timestamp("us", tz="UTC")


def put(lake: Lake, *exchanges: str) -> int:
    """One commit; returns the snapshot."""
    lake.transact(lambda tx: tx.append("sessions", sessions_of(*exchanges)))
    return lake.snapshot_id()


def put_many_sessions(lake: Lake, prefix: str) -> int:
    """Enough rows for a data file of their own."""
    return put(lake, *(f"{prefix}{number}" for number in range(2000)))


def refer_to(lake: Lake, snapshot_id: int) -> None:
    """A data set that was built from that snapshot."""
    row = pa.table(
        {
            "dataset_id": ["d"], "spec_id": ["s"],
            "snapshot_id": pa.array([snapshot_id], pa.int64()),
            "created_at": pa.array([NOW], INSTANT), "path": ["datasets/d"], "manifest": ["{}"],
        }
    )  # fmt: skip
    lake.transact(lambda tx: tx.append("datasets", row))


def exchanges(lake: Lake) -> list[str]:
    return lake.sql("select exchange from sessions order by all")["exchange"].to_pylist()


def data_files(spec: LakeSpec) -> set[Path]:
    return set(Path(spec.storage).rglob("*.parquet"))


def land(folder: str | Path, body: bytes, age: timedelta = timedelta(days=90)) -> str:
    payload_id = Landing(Path(folder)).store(Payload("s", "u", 200, (), body, NOW))
    [path] = Path(folder).rglob(f"{payload_id}.gz")
    os.utime(path, ((NOW - age).timestamp(),) * 2)
    return payload_id


def test_compaction_leaves_rows_snapshots_and_changes_as_they_were(
    lake: Lake, lake_spec: LakeSpec
) -> None:
    first = put_many_sessions(lake, "A")
    second = put_many_sessions(lake, "B")
    third = put_many_sessions(lake, "C")
    changes = f"select * from lake.table_changes('sessions', {second}, {third}) order by all"
    then, now = exchanges_at(lake_spec, first), exchanges(lake)
    changed = lake.sql(changes)
    assert compact(lake) == 3
    assert exchanges(lake) == now
    assert exchanges_at(lake_spec, first) == then
    assert lake.sql(changes).equals(changed)
    assert compact(lake) == 0


def test_rows_kept_in_the_catalog_are_filed_and_snapshots_and_changes_stay_as_they_were(
    lake: Lake, lake_spec: LakeSpec
) -> None:
    """Small commits add, move and remove rows; what each snapshot shows must not change."""
    snapshots = [put_many_sessions(lake, "F")]
    for hour, names in ((14, "AB"), (14, "C"), (9, "A"), (10, ["F1", "B"]), (11, "D"), (12, "D")):
        rows = sessions_of(*names, hour=hour)
        lake.transact(lambda tx, rows=rows: tx.upsert("sessions", rows, ("exchange", "session")))
        snapshots.append(lake.snapshot_id())

    def seen() -> list[pa.Table]:
        changes = "from lake.table_changes('sessions', {}, {}) order by all"
        then = "from sessions at (version => {}) order by all"
        return [lake.sql(then.format(one)) for one in snapshots] + [
            lake.sql(changes.format(one, snapshots[-1])) for one in snapshots
        ]

    before = seen()
    done = maintain(lake, Landing(Path(lake_spec.landing)), MaintenanceSpec(), now=NOW)
    assert done.rows_filed > 0
    assert all(one.equals(other) for one, other in zip(before, seen(), strict=True))
    assert lake.sql("from sessions").num_rows == 2004
    again = maintain(lake, Landing(Path(lake_spec.landing)), MaintenanceSpec(), now=NOW)
    assert again.rows_filed == 0


def exchanges_at(spec: LakeSpec, snapshot: int) -> list[str]:
    with Lake.open(spec, snapshot=snapshot) as past:
        return exchanges(past)


def test_expiry_keeps_the_snapshot_of_every_data_set(lake: Lake, lake_spec: LakeSpec) -> None:
    forgotten = put_many_sessions(lake, "A")
    kept = put_many_sessions(lake, "B")
    put_many_sessions(lake, "C")
    refer_to(lake, kept)
    before, then = exchanges(lake), exchanges_at(lake_spec, kept)
    done = maintain(lake, Landing(Path(lake_spec.landing)), MaintenanceSpec(), now=LATER)
    assert done.snapshots_expired >= 3
    assert exchanges(lake) == before
    assert exchanges_at(lake_spec, kept) == then
    with pytest.raises(LakeError):
        exchanges_at(lake_spec, forgotten)


def test_expiry_leaves_young_snapshots_alone(lake: Lake, lake_spec: LakeSpec) -> None:
    first = put(lake, "XNYS")
    put(lake, "XLON")
    assert expire_snapshots(lake, NOW - timedelta(days=1)) == ()
    assert exchanges_at(lake_spec, first) == ["XNYS"]


def test_replaced_files_are_deleted_once_no_snapshot_needs_them(
    lake: Lake, lake_spec: LakeSpec
) -> None:
    for prefix in "ABCD":
        put_many_sessions(lake, prefix)
    before = exchanges(lake)
    landing = Landing(Path(lake_spec.landing))
    # Right after merging, a reader may still be at work on the small files.
    maintain(lake, landing, MaintenanceSpec(), now=datetime.now(UTC))
    assert len(data_files(lake_spec)) == 5
    done = maintain(lake, landing, MaintenanceSpec(), now=LATER)
    assert done.files_deleted == 4
    assert len(data_files(lake_spec)) == 1
    assert exchanges(lake) == before
    assert maintain(lake, landing, MaintenanceSpec(), now=LATER) == Upkeep()


def test_orphans_go_and_files_being_written_stay(lake: Lake, lake_spec: LakeSpec) -> None:
    put_many_sessions(lake, "A")
    [committed] = data_files(lake_spec)
    orphan = committed.with_name("ducklake-orphan.parquet")
    orphan.write_bytes(committed.read_bytes())
    landing = Landing(Path(lake_spec.landing))
    young = maintain(lake, landing, MaintenanceSpec(), now=datetime.now(UTC))
    assert young.orphans_deleted == 0
    assert data_files(lake_spec) == {committed, orphan}
    old = maintain(lake, landing, MaintenanceSpec(), now=LATER)
    assert old.orphans_deleted == 1
    assert data_files(lake_spec) == {committed}


def test_what_a_killed_writer_left_half_written_goes_and_what_is_being_written_stays(
    lake: Lake, lake_spec: LakeSpec
) -> None:
    land(lake_spec.landing, b"whole")
    old, young = (Path(lake_spec.landing, f"ab.{name}.partial") for name in ("old", "young"))
    for path, age in ((old, timedelta(days=3)), (young, timedelta(hours=1))):
        path.write_bytes(b"half of it")
        os.utime(path, ((NOW - age).timestamp(),) * 2)
    done = maintain(lake, Landing(Path(lake_spec.landing)), MaintenanceSpec(), now=NOW)
    assert done.partial_files_deleted == 1
    assert (old.exists(), young.exists()) == (False, True)


def test_payloads_that_rows_refer_to_are_never_discarded(lake: Lake, lake_spec: LakeSpec) -> None:
    referred = land(lake_spec.landing, b"referred")
    refused = land(lake_spec.landing, b"refused long ago")
    young = land(lake_spec.landing, b"about to be published", age=timedelta(hours=1))
    row = QUARANTINED | {"payload_id": referred}
    lake.transact(lambda tx: tx.append("quarantine", pa.Table.from_pylist([row])))
    landing = Landing(Path(lake_spec.landing))
    done = maintain(lake, landing, MaintenanceSpec(), now=NOW)
    assert done.payloads_discarded == 1
    assert {payload_id for payload_id, _ in landing.landed()} == {referred, young}
    assert refused not in {referred, young}


def test_retention_reads_every_table_that_can_refer_to_a_payload() -> None:
    text = sql.statement("payloads_referred").text
    for table in SCHEMA.glob("*.sql"):
        if "payload_id" in table.read_text(encoding="utf-8"):
            assert re.search(rf"FROM {table.stem}\b", text), table.stem
