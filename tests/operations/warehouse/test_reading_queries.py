"""A query reads the warehouse and nothing else: no file, no network, no log, no deletion."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest

from newsvane.results import ReadError, Rows
from tests.builders.command_line import Newsvane
from tests.builders.warehouse import OpenLake, sessions_of
from warehouse.lake import Lake, LakeError

SECRET = "the-secret-of-this-machine"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reading")


@pytest.fixture(scope="module")
def stored(open_lake: OpenLake, root: Path) -> Iterator[Lake]:
    """A warehouse with a data file, and one more that upkeep has put down for deletion."""
    (root / "secret.csv").write_text(f"word\n{SECRET}\n")
    (root / "secret.json").write_text('{"word": "' + SECRET + '"}')
    with open_lake(root) as lake:
        for letter in "ab":
            rows = sessions_of(*(f"{letter}{number:04d}" for number in range(1500)))
            lake.transact(lambda tx, rows=rows: tx.append("sessions", rows))
        lake._connection.execute("CALL ducklake_merge_adjacent_files('lake')")
        yield lake


def files_below(root: Path) -> dict[str, int]:
    return {
        path.relative_to(root).as_posix(): path.stat().st_size
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith("catalog.sqlite-")
    }


DELETES_OR_WRITES = (
    "from ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "from ducklake_cleanup_old_files('lake', cleanup_all => true, dry_run => true)",
    "from DuckLake_Delete_Orphaned_Files('lake', cleanup_all => true)",
    "from system.main.ducklake_expire_snapshots('lake', older_than => now()::timestamp)",
    "with x as (from ducklake_merge_adjacent_files('lake')) from x",
    "from enable_logging('QueryLog', storage => 'file', storage_path => '{root}/logs')",
    "from enable_logging(storage_path => '{root}/logs', storage => 'file')",
    "from enable_profiling(save_location => '{root}/profile.json')",
    "from truncate_duckdb_logs()",
    "select * from (select 1), lateral (select * from force_checkpoint('lake'))",
    "from checkpoint('lake')",
    "select write_log('x')",
    "pragma enable_profiling='json'",
)
READS_ELSEWHERE = (
    "from read_text('{root}/secret.csv')",
    "from '{root}/secret.csv'",
    "from '{root}/lake/../secret.csv'",
    'from "{root}/secret.json"',
    "select (select max(content) from read_text('{root}/sec*'))",
    "from glob('{root}/*')",
    "from \"glob\"('/etc/*')",
    "from read_blob(['{root}/secret.csv'])",
    "from sniff_csv('{root}/secret.csv')",
    "describe from read_csv('{root}/secret.csv')",
    "from query('from read_text(''{root}/secret.csv'')')",
    "from query_table('{root}/secret.csv')",
    "from histogram_values('{root}/secret.csv', word)",
    "from json_execute_serialized_sql(json_serialize_sql('from read_text(''{root}/secret.csv'')'))",
    "pragma json_execute_serialized_sql('x')",
    "from parquet_metadata('{root}/lake/**/*.parquet')",
    "from sqlite_scan('{root}/catalog.sqlite', 'ducklake_snapshot')",
    "from sqlite_attach('{root}/catalog.sqlite')",
    "from sqlite_query('__ducklake_metadata_lake', 'select 1')",
    "from __ducklake_metadata_lake.ducklake_snapshot",
    "from __DuckLake_Metadata_lake.main.ducklake_snapshot",
    "from arrow_scan(1::pointer, 2::pointer, 3::pointer)",
    "from python_map_function()",
    "select getenv('HOME')",
    "select list_transform(['HOME'], lambda name: getenv(name))",
    "select exchange from sessions order by (from read_text('{root}/secret.csv'))",
    "from read_text($path)",
)


@pytest.mark.parametrize("query", [*DELETES_OR_WRITES, *READS_ELSEWHERE])
def test_query_that_reaches_beyond_the_warehouse_is_refused(
    stored: Lake, root: Path, query: str
) -> None:
    before = files_below(root)
    params = {"path": f"{root}/secret.csv"} if "$path" in query else None
    with pytest.raises(LakeError) as refused:
        stored.sql(query.replace("{root}", str(root)), params)
    assert SECRET not in str(refused.value)
    assert files_below(root) == before
    assert stored.sql("select count(*) n from sessions").to_pylist() == [{"n": 3000}]


@pytest.mark.parametrize(
    "query", ["from read_csv('{url}')", "from '{url}'", "from '{url}.parquet'"]
)
@pytest.mark.parametrize("files", [False, True])
def test_query_reaches_no_network(stored: Lake, root: Path, query: str, files: bool) -> None:
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/x.csv"
        with pytest.raises(LakeError):
            stored.sql(query.replace("{url}", url), files=[root] if files else [])
        server.shutdown()
    assert asked == []


def test_engine_is_locked_even_where_the_parsed_query_is_not_looked_at(
    stored: Lake, root: Path
) -> None:
    engine = stored._reading()
    for statement in (
        f"from read_text('{root}/secret.csv')",
        "set enable_external_access = true",
        f"attach '{root}/other.db'",
        "install spatial",
        f"copy sessions to '{root}/copy.csv'",
        "delete from sessions",
        "from stored",
    ):
        with pytest.raises(duckdb.Error):
            engine.execute(statement).fetchall()


def test_named_file_is_read_and_its_neighbour_is_not(stored: Lake, root: Path) -> None:
    named = root / "secret.csv"
    for query in (f"from read_csv('{named}')", f"from '{named}'"):
        assert stored.sql(query, files=[named]).to_pylist() == [{"word": SECRET}]
    with pytest.raises(LakeError, match="--files"):
        stored.sql(f"from '{root}/secret.json'", files=[named])
    (root / "sub").mkdir()
    (root / "sub" / "link.csv").symlink_to(named)
    for path in ("sub/../secret.csv", "sub//..//secret.csv", "sub/./../secret.csv"):
        with pytest.raises(LakeError):
            stored.sql(f"from read_csv('{root}/{path}')", files=[root / "sub"])
    found = stored.sql(f"select file from glob('{root}/secret*')", files=[root])
    assert found.num_rows == 2
    linked = root / "sub" / "link.csv"
    assert stored.sql(f"from '{linked}'", files=[linked]).num_rows == 1
    with pytest.raises(LakeError):
        stored.sql("from read_text('/etc/hostname')", files=[root])
    with pytest.raises(LakeError, match="Name the file"):
        stored.sql(f"from read_csv('{named}')")


def test_what_reads_the_warehouse_is_answered(stored: Lake) -> None:
    for query in (
        "describe bars",
        "show tables",
        "summarize sessions",
        "values (1)",
        "from lake.main.sessions union by name from sessions",
        "from bar_versions",
        "select exchange from sessions at (version => 1)",
        "from lake.snapshots()",
        "from ducklake_table_changes('lake', 'main', 'sessions', 0, 1)",
        "from lake.table_info()",
        "from information_schema.tables",
        "from duckdb_tables()",
        "select unnest([1, 2]) from range(3), json_each('[1]')",
        "with recursive t as (select 1 a union all select a + 1 from t where a < 3) from t",
        "pivot sessions on exchange in ('a0001') using count(*)",
        "select random(), uuid(), now(), sum(1) over (), utc_day(now())",
        "select 'read_text' as \"glob\", {'function_name': 'getenv'} as named",
    ):
        assert stored.sql(query) is not None, query


def test_query_nested_without_end_gets_a_sentence(stored: Lake) -> None:
    with pytest.raises(LakeError, match=r"deep|parsed"):
        stored.sql("select " + "[" * 900 + "1" + "]" * 900)


@pytest.mark.parametrize(
    "value",
    ["date '-290308-12-22'", "'infinity'::timestamptz", "timestamp '290000-01-01'",
     "[date '290000-01-01']", "{'day': date '290000-01-01'}"],
)  # fmt: skip
def test_value_that_python_cannot_hold_gets_a_sentence(newsvane: Newsvane, value: str) -> None:
    answer = newsvane("sql", f"select {value} as moment")
    assert answer.returncode == 2
    assert answer.stderr.startswith("newsvane: Column moment holds a ")
    assert "::VARCHAR" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_rows_that_python_cannot_hold_get_a_sentence(stored: Lake) -> None:
    rows = Rows(stored.sql("select date '290000-01-01' as day"), "one row")
    for convert in (rows.to_dicts, rows.to_pandas):
        with pytest.raises(ReadError, match="::VARCHAR"):
            convert()


def test_columns_of_one_name_are_each_shown(newsvane: Newsvane) -> None:
    answer = newsvane("sql", "select 11 as n, 22 as n")
    assert answer.returncode == 0
    assert all(number in answer.stdout for number in ("11", "22"))


def test_command_reads_only_the_files_it_is_given(newsvane: Newsvane, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(f"word\n{SECRET}\n")
    query = f"from read_csv('{tmp_path}/mine.csv')"
    refused = newsvane("sql", query)
    assert refused.returncode == 2
    assert "--files" in refused.stderr
    assert SECRET in newsvane("sql", query, "--files", str(tmp_path / "mine.csv")).stdout
