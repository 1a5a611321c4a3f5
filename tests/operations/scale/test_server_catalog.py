"""A warehouse on PostgreSQL and an object store, seen from several machines at once."""

from __future__ import annotations

import hashlib
import os
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from pydantic import ValidationError

from tests.builders.command_line import REPOSITORY
from tests.builders.servers import relay_to
from tests.builders.warehouse import LONG_AFTER, STAMP, sessions_of
from warehouse.lake import Lake, LakeError, LakeSpec, Transaction, sql
from warehouse.lake.connection import WriterLock, attach, catalog_beside
from warehouse.lake.identity import MARK, RESTORING
from warehouse.lake.literals import filled
from warehouse.ops.backup import back_up
from warehouse.ops.files import FileCheck, check_files
from warehouse.ops.maintenance import MaintenanceSpec, Upkeep, maintain
from warehouse.ops.restore import restore
from warehouse.storage.landing import Landing, LandingError, Payload
from warehouse.storage.object_store import StoreError, open_store

pytestmark = pytest.mark.slow

Machine = Callable[[str], LakeSpec]
KEY = ("payload_id",)
VISITS = 6
CATALOG = "'__ducklake_metadata_lake'"
PAYLOAD = Payload("s", "u", 200, (), b"body" * 9, LONG_AFTER)


def payloads(*payload_ids: str, size: int = 1) -> pa.Table:
    count = len(payload_ids)
    return pa.table(
        {
            "payload_id": list(payload_ids), "source": ["scale"] * count,
            "url": ["https://vendor/x"] * count, "status": pa.array([200] * count, pa.int32()),
            "headers": ["[]"] * count, "bytes": pa.array([size] * count, pa.int64()),
            "fetched_at": pa.array([LONG_AFTER] * count, STAMP),
        }
    )  # fmt: skip


def test_machines_that_merge_the_same_rows_keep_each_once(machine: Machine) -> None:
    """Two inserts of one row are no conflict to DuckLake; the writers' lock must prevent them."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    writers = [
        subprocess.Popen(
            [sys.executable, __file__, machine(name).model_dump_json(), name], env=environment
        )
        for name in ("a", "b")
    ]
    assert [writer.wait(timeout=900) for writer in writers] == [0, 0]
    with Lake.open(machine("reader")) as lake:
        found = lake.sql("select payload_id, count(*) n from payloads group by all order by all")
    names = sorted(f"{who}-{number}" for who in ("a", "b", "shared") for number in range(VISITS))
    assert found.to_pylist() == [{"payload_id": name, "n": 1} for name in names]


def test_conflicting_commit_is_tried_again(machine: Machine) -> None:
    with Lake.open(machine("a")) as lake:
        lake.transact(lambda tx: tx.upsert("payloads", payloads("contested"), KEY))
        attempts: list[int] = []

        def enlarge(tx: Transaction) -> None:
            attempts.append(tx.upsert("payloads", payloads("contested", size=11), KEY))
            if len(attempts) == 1:
                write_without_the_lock(machine("b"))

        lake.transact(enlarge)
        assert attempts == [1, 1]
        assert lake.sql("select bytes from payloads").to_pylist() == [{"bytes": 11}]


def write_without_the_lock(spec: LakeSpec) -> None:
    connection = attach(spec)
    connection.execute("UPDATE payloads SET bytes = 10")
    connection.close()


def test_machines_open_a_new_warehouse_at_once(machine: Machine) -> None:
    with ThreadPoolExecutor(2) as pool:
        for opened in [pool.submit(Lake.open, machine(name)) for name in ("a", "b")]:
            opened.result().close()


def test_keys_to_the_store_are_never_shown(machine: Machine) -> None:
    with Lake.open(machine("a")) as lake:
        shown = str(lake.sql("select * from duckdb_secrets()").to_pylist())
        shown += str(lake.sql("select name, value from duckdb_settings()").to_pylist())
    assert "newsvane-very-secret" not in shown


def test_query_reads_the_lake_and_neither_server_nor_bucket_beside_it(machine: Machine) -> None:
    spec = machine("a")
    open_store(spec.storage.removesuffix("lake") + "private", spec.endpoint).write(
        "x.csv", b"word\nsecret\n"
    )
    with Lake.open(spec) as lake:
        rows = payloads(*(f"payload-{number}" for number in range(1500)))
        lake.transact(lambda tx: tx.append("payloads", rows))
        counted = lake.sql("select count(*) n, count(distinct payload_id) d from payloads")
        assert counted.to_pylist() == [{"n": 1500, "d": 1500}]
        bucket, server = spec.storage.removesuffix("/lake"), spec.catalog_location
        for query in (
            f"from postgres_query({CATALOG}, 'select pg_read_file(''/etc/passwd'')')",
            f"from postgres_execute({CATALOG}, 'create table t (a int)')",
            f"from postgres_scan('{server}', 'public', 'ducklake_snapshot')",
            f"from postgres_attach('{server}')",
            "from __ducklake_metadata_lake.pg_catalog.pg_authid",
            "from __ducklake_metadata_lake.public.ducklake_snapshot",
            f"from read_csv('{bucket}/private/x.csv')",
            f"from '{bucket}/private/x.csv'",
            f"from '{bucket}/lake/../private/x.csv'",
        ):
            with pytest.raises(LakeError) as refused:
                lake.sql(query)
            assert "secret" not in str(refused.value)


def test_payloads_land_in_a_bucket(machine: Machine) -> None:
    landing = Landing.of(machine("a"))
    payload_id = landing.store(PAYLOAD)
    assert landing.store(PAYLOAD) == payload_id
    assert Landing.of(machine("b")).load(payload_id) == PAYLOAD.body
    assert [name for name, _ in landing.landed()] == [payload_id]
    landing.discard(payload_id)
    with pytest.raises(LandingError, match="not in the landing zone"):
        landing.load(payload_id)


def test_bucket_that_does_not_exist_is_explained(machine: Machine) -> None:
    spec = machine("a").model_copy(update={"landing": "s3://no-such-bucket/landing"})
    with pytest.raises(StoreError, match="Check that the bucket exists"):
        Landing.of(spec).store(PAYLOAD)


def test_bucket_that_goes_away_costs_a_sentence_and_no_row(
    machine: Machine, object_store: str
) -> None:
    with relay_to(object_store) as relay:
        spec = machine("a").model_copy(update={"endpoint": relay.url, "commit_attempts": 1})
        rows = sessions_of(*(f"X{number}" for number in range(300)))
        more = sessions_of(*(f"Y{number}" for number in range(300)))
        with Lake.open(spec) as lake:
            lake.transact(lambda tx: tx.append("sessions", rows))
            relay.away = True
            with pytest.raises(LakeError) as told:
                lake.transact(lambda tx: tx.append("sessions", more))
            with pytest.raises(StoreError):
                Landing.of(spec).store(PAYLOAD)
            assert "\n" not in str(told.value)
            relay.away = False
            lake.transact(lambda tx: tx.append("sessions", more))
            assert lake.sql("SELECT count(*) AS n FROM sessions")["n"].to_pylist() == [600]
            assert Landing.of(spec).load(Landing.of(spec).store(PAYLOAD)) == PAYLOAD.body


def test_script_of_the_containers_makes_the_bucket_once(object_store: str) -> None:
    script = runpy.run_path(str(REPOSITORY / "docker" / "make_bucket.py"))
    for _ in range(2):
        script["main"]("made-by-script", object_store)
    store = open_store("s3://made-by-script/landing", object_store)
    store.write("name", b"body")
    assert [stored.name for stored in store.listed()] == ["name"]


def test_server_that_is_away_is_explained(machine: Machine) -> None:
    spec = machine("a").model_copy(update={"catalog": "postgres:dbname=x host=127.0.0.1 port=1"})
    with pytest.raises(LakeError, match="check that PostgreSQL is up"):
        Lake.open(spec)


@pytest.mark.parametrize(
    "connection",
    ["postgres:dbname=x password=hunter2", "postgres:postgresql://user:hunter2@host/newsvane"],
)
def test_password_in_the_configuration_is_refused_and_not_repeated(connection: str) -> None:
    with pytest.raises(ValidationError, match="PGPASSWORD") as refused:
        LakeSpec(catalog=connection)
    assert "hunter2" not in str(refused.value)


def test_writer_that_is_killed_frees_the_lock(machine: Machine) -> None:
    Lake.open(machine("a")).close()
    holder = subprocess.Popen(
        [sys.executable, __file__, machine("a").model_dump_json(), "hold"],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    writer = Thread(target=lambda: Lake.open(machine("b")).close())
    writer.start()
    writer.join(timeout=1)
    assert writer.is_alive()
    holder.kill()
    holder.wait(timeout=300)
    writer.join(timeout=300)
    assert not writer.is_alive()


def test_backup_of_a_server_warehouse_comes_back_elsewhere(
    machine: Machine, postgres: Any, bucket: str, tmp_path: Path
) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not installed (Debian: postgresql-client)")
    spec = machine("a")
    with Lake.open(spec) as lake:
        landed = Landing.of(spec).store(PAYLOAD)
        many = payloads(*(f"p{number}" for number in range(500)))
        lake.transact(lambda tx: tx.append("payloads", many))
        before = lake.sql("select * from payloads order by all")
    made = back_up(spec, tmp_path / "backup")
    there = spec.model_copy(
        update={
            "catalog": f"postgres:{postgres.database()}",
            "storage": f"{bucket}/elsewhere/lake",
            "landing": f"{bucket}/elsewhere/landing",
        }
    )
    assert restore(tmp_path / "backup", there) == made
    with Lake.open(there) as lake:
        assert lake.sql("select * from payloads order by all").equals(before)
        assert lake.transact(lambda tx: tx.upsert("payloads", payloads("new"), KEY)) == 1
    assert Landing.of(there).load(landed) == PAYLOAD.body


def test_emptied_or_foreign_server_catalog_is_no_new_warehouse(
    machine: Machine, postgres: Any, bucket: str
) -> None:
    spec = machine("a")
    with Lake.open(spec) as lake:
        many = payloads(*(f"p{number}" for number in range(500)))
        lake.transact(lambda tx: tx.append("payloads", many))
    emptied = spec.model_copy(update={"catalog": f"postgres:{postgres.database()}"})
    for opener in (Lake.open, Lake.reading):
        with pytest.raises(LakeError, match=r"There is no catalog at.*newsvane restore"):
            opener(emptied)
    apart = {"storage": f"{bucket}/other/lake", "landing": f"{bucket}/other/landing"}
    Lake.open(emptied.model_copy(update=apart)).close()
    store = open_store(spec.storage, spec.endpoint)
    for opener in (Lake.open, Lake.reading):
        with pytest.raises(LakeError, match="does not match existing data path"):
            opener(emptied)
    mark = store.open(MARK).read()
    store.write(MARK, str(uuid4()).encode())
    for opener in (Lake.open, Lake.reading):
        with pytest.raises(LakeError, match="belongs to the warehouse"):
            opener(spec)
    store.delete(MARK)
    with Lake.open(spec) as lake:
        assert lake.sql("select count(*) n from payloads").to_pylist() == [{"n": 500}]
    assert store.open(MARK).read() == mark


def test_altered_and_lost_objects_of_a_bucket_are_named(machine: Machine) -> None:
    spec = machine("a")
    with Lake.open(spec) as lake:
        for prefix in "pq":
            many = payloads(*(f"{prefix}{number}" for number in range(500)))
            lake.transact(lambda tx, many=many: tx.append("payloads", many))
        assert check_files(lake) == FileCheck(2, 0, ())
        store = open_store(spec.storage, spec.endpoint)
        altered, lost = (file.name for file in store.listed() if file.name.endswith(".parquet"))
        body = bytearray(store.open(altered).read())
        body[len(body) // 2] ^= 1
        store.write(altered, bytes(body))
        store.delete(lost)
        (first, hashed), (second, gone) = check_files(lake).problems
    assert (first, second) == (altered, lost)
    assert "hashes to" in hashed
    assert "is missing" in gone


def test_upkeep_of_a_server_warehouse_files_rows_and_keeps_what_is_needed(
    machine: Machine,
) -> None:
    spec = machine("a")
    with Lake.open(spec) as lake:
        for size in (500, 1, 500, 2):
            names = (f"{size}-{number}-{lake.snapshot_id()}" for number in range(size))
            rows = payloads(*names)
            lake.transact(lambda tx, rows=rows: tx.append("payloads", rows))
        before = lake.sql("select * from payloads order by all")
        now = datetime.now(UTC) + timedelta(days=400)
        done = maintain(lake, Landing.of(spec), MaintenanceSpec(), now=now)
        assert (done.rows_filed, done.orphans_deleted) == (3, 0)
        assert lake.sql("select * from payloads order by all").equals(before)
        assert check_files(lake) == FileCheck(1, 0, ())
        again = maintain(lake, Landing.of(spec), MaintenanceSpec(), now=now)
        assert again == Upkeep()


def test_interrupted_restore_to_a_server_goes_on(
    machine: Machine, postgres: Any, bucket: str, tmp_path: Path
) -> None:
    """The catalog is there, but does not point to its storage yet, and the marks say so."""
    if shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not installed (Debian: postgresql-client)")
    spec, backup = machine("a"), tmp_path / "backup"
    with Lake.open(spec) as lake:
        many = payloads(*(f"p{number}" for number in range(500)))
        lake.transact(lambda tx: tx.append("payloads", many))
    back_up(spec, backup)
    apart = {"storage": f"{bucket}/b/lake", "landing": f"{bucket}/b/landing"}
    there = spec.model_copy(update={"catalog": f"postgres:{postgres.database()}", **apart})
    restore(backup, there)
    whole = (backup / "backup.json").read_bytes()
    begun = f"{RESTORING} of {hashlib.sha256(whole).hexdigest()[:16]}"
    with catalog_beside(there) as beside:
        storage = {"storage": "s3://elsewhere/lake/"}
        beside.execute(filled(sql.statement("catalog_moved").text, storage))
    for location in apart.values():
        open_store(location, there.endpoint).write(MARK, begun.encode())
    for opener in (Lake.open, Lake.reading):
        with pytest.raises(LakeError, match=r"was interrupted.*newsvane restore"):
            opener(there)
    restore(backup, there)
    with Lake.open(there) as lake:
        assert lake.sql("select count(*) n from payloads").to_pylist() == [{"n": 500}]


def merge_payloads(spec: LakeSpec, name: str) -> None:
    """What one machine does: merge rows of its own and rows that the other one merges too."""
    with Lake.open(spec) as lake:
        for number in range(VISITS):
            rows = payloads(f"shared-{number}", f"{name}-{number}")
            lake.transact(lambda tx, rows=rows: tx.upsert("payloads", rows, KEY))


def hold_the_lock(spec: LakeSpec) -> None:
    with WriterLock(spec):
        print("held", flush=True)
        time.sleep(600)


if __name__ == "__main__":
    chosen = LakeSpec.model_validate_json(sys.argv[1])
    hold_the_lock(chosen) if sys.argv[2] == "hold" else merge_payloads(chosen, sys.argv[2])


def test_role_of_the_catalog_owns_its_database_and_reads_no_file_of_the_server(
    postgres: Any, tmp_path: Path
) -> None:
    """The compose file's databases, made as its postgres service makes them."""
    script = REPOSITORY / "docker" / "create-databases.sh"
    names = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "POSTGRES_USER": "postgres"}
    environment = {**os.environ, **names, "DATABASE_PASSWORD": "it's hidden"}
    subprocess.run(["sh", script], check=True, timeout=60, env=environment)
    where = f"dbname=newsvane host=127.0.0.1 port={postgres.port} user=newsvane"
    with Lake.open(LakeSpec(catalog=f"postgres:{where}").placed_below(tmp_path)) as lake:
        assert lake.snapshot_id() >= 0
    for query, role in (
        ("SELECT pg_read_file('/etc/passwd')", "newsvane"),
        ("SELECT 1", "prefect"),
    ):
        asked = subprocess.run(
            ["psql", "--dbname=newsvane", f"--username={role}", f"--command={query}"],
            env={**environment, "PGPASSWORD": "it's hidden"}, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert asked.returncode != 0
        assert "permission denied" in asked.stderr
