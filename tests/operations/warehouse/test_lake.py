"""The DuckLake: one writer at a time, all or nothing, old snapshots, queries that only read."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pytest
from filelock import FileLock

from tests.builders.command_line import REPOSITORY
from tests.builders.warehouse import QUARANTINED, lake_spec_below, sessions_of
from warehouse.lake import Lake, LakeError, LakeSpec, Transaction, sql
from warehouse.lake.connection import _as_released

SESSION_KEY = ("exchange", "session")


def put(lake: Lake, exchange: str, hour: int = 14) -> int:
    return lake.transact(
        lambda tx: tx.upsert("sessions", sessions_of(exchange, hour=hour), SESSION_KEY)
    )


def exchanges(lake: Lake) -> list[str]:
    return lake.sql("select exchange from sessions order by all")["exchange"].to_pylist()


def test_warehouse_begun_by_relative_paths_is_written_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"X{number:04d}" for number in range(3000)]  # enough for a file of their own
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    near = LakeSpec(catalog="sqlite:c.sqlite", storage="lake", landing="land", lock=Path("lock"))
    with Lake.open(near) as lake:
        lake.transact(lambda tx: tx.upsert("sessions", sessions_of(*names), SESSION_KEY))
    monkeypatch.chdir(tmp_path)
    far = LakeSpec(
        catalog=f"sqlite:{tmp_path / 'here' / 'c.sqlite'}",
        storage=str(tmp_path / "here" / "lake"),
        landing=str(tmp_path / "here" / "land"),
        lock=tmp_path / "here" / "lock",
    )
    more = sessions_of(*(f"Y{name}" for name in names))
    with Lake.open(far) as lake:
        lake.transact(lambda tx: tx.upsert("sessions", more, SESSION_KEY))
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    monkeypatch.chdir(tmp_path / "here")
    with Lake.open(near) as lake:
        assert len(exchanges(lake)) == 2 * len(names)


@pytest.mark.slow
def test_concurrent_writer_processes_lose_no_commit(lake: Lake, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    writers = [
        subprocess.Popen([sys.executable, __file__, str(tmp_path), name], env=environment)
        for name in ("a", "b", "c", "d")
    ]
    while any(writer.poll() is None for writer in writers):
        # Readers are never turned away while others write.
        lake.sql("select count(*) from quarantine")
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    counted = lake.sql("select source, count(*) n from quarantine group by all order by all")
    assert counted.to_pylist() == [{"source": name, "n": 8} for name in "abcd"]


def test_concurrent_first_openings_create_the_tables_once(lake_spec: LakeSpec) -> None:
    with ThreadPoolExecutor(4) as pool:
        for opened in [pool.submit(Lake.open, lake_spec) for _ in range(4)]:
            opened.result().close()
    with Lake.open(lake_spec) as lake:
        assert lake.sql("select count(*) n from bars").to_pylist() == [{"n": 0}]


def test_error_in_a_transaction_leaves_nothing_behind(lake: Lake) -> None:
    put(lake, "XNYS")
    before = lake.snapshot_id()

    def half(tx: Transaction) -> None:
        tx.append("sessions", sessions_of("XLON"))
        raise RuntimeError("the batch is bad after all")

    with pytest.raises(RuntimeError, match="bad after all"):
        lake.transact(half)
    assert exchanges(lake) == ["XNYS"]
    assert lake.snapshot_id() == before
    put(lake, "XPAR")
    assert exchanges(lake) == ["XNYS", "XPAR"]


def test_refused_row_rolls_the_whole_batch_back(lake: Lake) -> None:
    def work(tx: Transaction) -> None:
        tx.append("sessions", sessions_of("XLON"))
        tx.append(
            "sessions", sessions_of("XPAR").set_column(0, "exchange", pa.nulls(1, pa.string()))
        )

    with pytest.raises(Exception, match="NOT NULL"):
        lake.transact(work)
    assert exchanges(lake) == []


def test_equal_upsert_commits_no_snapshot(lake: Lake) -> None:
    assert put(lake, "XNYS") == 1
    before = lake.snapshot_id()
    assert put(lake, "XNYS") == 0
    assert lake.snapshot_id() == before
    assert put(lake, "XNYS", hour=15) == 1
    assert lake.snapshot_id() == before + 1


def test_snapshot_shows_the_warehouse_as_it_was(lake: Lake, lake_spec: LakeSpec) -> None:
    put(lake, "XNYS")
    then = lake.snapshot_id()
    put(lake, "XLON")
    put(lake, "XNYS", hour=15)
    with Lake.open(lake_spec, snapshot=then) as past:
        assert exchanges(past) == ["XNYS"]
        assert past.sql("select hour(open_ts) h from sessions").to_pylist() == [{"h": 14}]
        assert past.snapshot_id() == then
    assert exchanges(lake) == ["XLON", "XNYS"]


def test_snapshot_cannot_be_written_to(lake: Lake, lake_spec: LakeSpec) -> None:
    put(lake, "XNYS")
    with (
        Lake.open(lake_spec, snapshot=lake.snapshot_id()) as past,
        pytest.raises(Exception, match=r"(?i)read-only|snapshot"),
    ):
        put(past, "XLON")
    assert exchanges(lake) == ["XNYS"]


def test_reader_sees_what_another_connection_committed(lake: Lake, lake_spec: LakeSpec) -> None:
    with Lake.open(lake_spec) as other:
        assert exchanges(other) == []
        put(lake, "XNYS")
        assert exchanges(other) == ["XNYS"]


NO_READING_QUERY = (
    "delete from sessions",
    "insert into sessions select * from sessions",
    "update sessions set exchange = 'X'",
    "drop table sessions",
    "create table t as select 1",
    "copy sessions to 'sessions.csv'",
    "attach 'other.db'",
    "explain analyze delete from sessions",
    "select 1; delete from sessions",
    "",
    "selekt 1",
    "select * from no_such_table",
)
# These write although they are SELECTs.
MAINTENANCE = (
    "from ducklake_expire_snapshots('lake', older_than => now()::timestamp)",
    "from ducklake_merge_adjacent_files('lake')",
    "from ducklake_delete_orphaned_files('lake', cleanup_all => true)",
    "from ducklake_set_option('lake', 'parquet_compression', 'zstd')",
)


def test_query_that_could_write_is_refused_and_changes_nothing(
    lake: Lake, lake_spec: LakeSpec
) -> None:
    put(lake, "XNYS")
    put(lake, "XLON")
    snapshots = lake.sql("select * from lake.snapshots()")
    files = set(Path(lake_spec.storage).rglob("*"))
    for query in (*NO_READING_QUERY, *MAINTENANCE):
        with pytest.raises(LakeError):
            lake.sql(query)
        assert exchanges(lake) == ["XLON", "XNYS"], query
        assert lake.sql("select * from lake.snapshots()").equals(snapshots), query
        assert files <= set(Path(lake_spec.storage).rglob("*")), query


def test_reading_queries_are_answered_in_utc(lake: Lake) -> None:
    put(lake, "XNYS")
    answer = lake.sql(
        "with opened as (select open_ts from sessions where exchange = $exchange)"
        " select open_ts, hour(open_ts) h from opened",
        {"exchange": "XNYS"},
    )
    assert answer.to_pylist() == [{"open_ts": datetime(2020, 1, 2, 14, 30, tzinfo=UTC), "h": 14}]


def test_writers_wait_for_the_lock(lake: Lake, lake_spec: LakeSpec) -> None:
    writer = Thread(target=put, args=(lake, "XNYS"))
    with FileLock(lake_spec.lock):
        writer.start()
        writer.join(timeout=0.5)
        assert writer.is_alive()
    writer.join(timeout=300)
    assert exchanges(lake) == ["XNYS"]


@pytest.mark.parametrize("catalog", ["mysql:host", "sqlite:", "catalog.sqlite"])
def test_unusable_catalog_is_explained(lake_spec: LakeSpec, catalog: str) -> None:
    with pytest.raises(LakeError, match="expected sqlite:PATH or postgres:CONNECTION"):
        Lake.open(lake_spec.model_copy(update={"catalog": catalog}))


def test_catalog_that_is_no_database_is_explained(lake_spec: LakeSpec, tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_text("this is not a database")
    with pytest.raises(LakeError, match="could not be opened"):
        Lake.open(lake_spec)


def test_table_names_are_never_sql(lake: Lake) -> None:
    with pytest.raises(LakeError, match="not a table or column name"):
        lake.transact(lambda tx: tx.append("sessions; drop table bars", sessions_of("XNYS")))


def test_unknown_sql_file_is_explained() -> None:
    with pytest.raises(LakeError, match="No SQL statement is named 'nothing'"):
        sql.statement("nothing")


def test_every_sql_statement_says_what_it_gives_or_writes() -> None:
    found = [sql.statement(name) for name in sql.names()]
    assert len(found) > 20
    assert [one.name for one in found if not (one.grain or one.writes)] == []


def test_every_view_states_its_grain_first() -> None:
    views = sql.relations("views")
    assert [name for name, text in views.items() if not text.startswith("-- grain: ")] == []


def test_a_writing_statement_is_refused_outside_a_transaction(lake: Lake) -> None:
    with pytest.raises(LakeError, match="run it in transact"):
        lake.read("story_merge", merged=pa.table({"story": ["a"], "root": ["b"]}))
    with pytest.raises(LakeError, match="writes nothing"):
        lake.transact(lambda tx: tx.run("model_rows"))


def quarantine_eight(folder: Path, name: str) -> None:
    """What one writer does: eight rows, a commit each."""
    with Lake.open(lake_spec_below(folder)) as lake:
        for number in range(8):
            row = QUARANTINED | {"quarantine_id": f"{name}-{number}", "source": name}
            table = pa.Table.from_pylist([row])
            lake.transact(lambda tx, table=table: tx.append("quarantine", table))


if __name__ == "__main__":
    quarantine_eight(Path(sys.argv[1]), sys.argv[2])


def test_altered_database_extension_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code would run in every command; the wheel's list of hashes says what it must be."""
    listed = tmp_path / "duckdb_extension_odd-1.0.dist-info"
    file = tmp_path / "duckdb_extension_odd" / "odd.duckdb_extension"
    for folder in (listed, file.parent):
        folder.mkdir()
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"as released").digest()).decode().rstrip("=")
    (listed / "METADATA").write_text("Name: duckdb-extension-odd\nVersion: 1.0\n")
    (listed / "RECORD").write_text(f"{file.relative_to(tmp_path)},sha256={digest},11\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    file.write_bytes(b"as released")
    assert _as_released.__wrapped__("odd") == file
    for body in (b"as altered.", b""):
        file.write_bytes(body)
        with pytest.raises(LakeError, match=r"odd is not as its wheel .* lists it"):
            _as_released.__wrapped__("odd")
