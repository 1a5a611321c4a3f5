"""Older warehouses are brought up to date once, whole, and only by the release that may."""

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
from warehouse.lake.comments import declared_comments
from warehouse.lake.connection import attach
from warehouse.lake.migrations import Migration, bring_up_to_date, known_migrations
from warehouse.lake.sql import SQL_ROOT
from warehouse.storage.landing import Landing

NEXT = len(known_migrations()) + 1
ADD = Migration(NEXT, "note", "-- grain: none\nALTER TABLE sessions ADD COLUMN note VARCHAR;")


def versions(lake: Lake) -> list[int]:
    return lake.sql("select version from schema_versions order by all")["version"].to_pylist()


def columns(lake: Lake, table: str) -> list[str]:
    return lake.sql(f"select * from {table} limit 0").column_names


def migrate(spec: LakeSpec, *extra: Migration) -> tuple[int, ...]:
    connection = attach(spec)
    try:
        return bring_up_to_date(connection, (*known_migrations(), *extra))
    finally:
        connection.close()


def test_new_warehouse_is_made_from_the_schema_at_the_newest_version(lake: Lake) -> None:
    assert versions(lake) == [step.version for step in known_migrations()]


def test_opening_an_up_to_date_warehouse_commits_nothing(lake: Lake, lake_spec: LakeSpec) -> None:
    before = lake.snapshot_id()
    Lake.open(lake_spec).close()
    assert lake.snapshot_id() == before


STORED = (
    "select table_name || coalesce('.' || c, '') as name, comment from ("
    " select table_name, null as c, comment from duckdb_tables() where database_name = 'lake'"
    " union all select table_name, column_name, comment from duckdb_columns()"
    " where database_name = 'lake' and schema_name = 'main')"
)


def comments(lake: Lake) -> dict[str, str | None]:
    return {row["name"]: row["comment"] for row in lake.sql(STORED).to_pylist()}


def test_catalog_keeps_what_every_table_and_column_means(lake: Lake) -> None:
    stored = comments(lake)
    assert stored == declared_comments(SQL_ROOT / "schema")
    assert stored["bars.vendor_adj_close"].startswith("Close as the vendor adjusted it")


def test_comments_of_an_older_warehouse_are_set_in_one_snapshot_and_once(
    lake: Lake, lake_spec: LakeSpec
) -> None:
    meant = comments(lake)
    for change in (
        "COMMENT ON TABLE bars IS NULL",
        "COMMENT ON COLUMN bars.open IS 'It''s other words'",
        "ALTER TABLE bars ADD COLUMN note VARCHAR",
        "COMMENT ON COLUMN bars.note IS 'of the user'",
    ):
        lake._connection.execute(change)
    before = lake.snapshot_id()
    lake.close()
    with Lake.reading(lake_spec) as reader:
        assert comments(reader) != meant
    with Lake.open(lake_spec) as opened:
        assert comments(opened) == meant | {"bars.note": "of the user"}
        assert opened.snapshot_id() == before + 1
    with Lake.open(lake_spec) as again:
        assert again.snapshot_id() == before + 1


def test_warehouse_from_before_there_were_versions_gets_all_columns(lake_spec: LakeSpec) -> None:
    connection = attach(lake_spec)
    for statement in (
        "CREATE TABLE sessions (exchange VARCHAR NOT NULL, session DATE NOT NULL,"
        " open_ts TIMESTAMPTZ NOT NULL, close_ts TIMESTAMPTZ NOT NULL)",
        "CREATE TABLE datasets (dataset_id VARCHAR NOT NULL, spec_id VARCHAR NOT NULL,"
        " snapshot_id BIGINT NOT NULL, created_at TIMESTAMPTZ NOT NULL, path VARCHAR NOT NULL,"
        " manifest VARCHAR NOT NULL)",
        "CREATE TABLE predictions (prediction_id VARCHAR NOT NULL, kind VARCHAR NOT NULL,"
        " predictor VARCHAR NOT NULL, model_id VARCHAR, dataset_id VARCHAR,"
        " spec_id VARCHAR NOT NULL, example_id VARCHAR NOT NULL, session DATE NOT NULL,"
        " p_up DOUBLE NOT NULL, predicted_at TIMESTAMPTZ NOT NULL)",
        "INSERT INTO predictions VALUES"
        " ('p', 'backtest', 'majority', NULL, 'd', 's', 'e', DATE '2024-01-02', 0.5, now())",
    ):
        connection.execute(statement)
    connection.close()
    with Lake.open(lake_spec) as lake:
        assert "calendar_version" in columns(lake, "sessions")
        assert "spec_digest" in columns(lake, "datasets")
        added = "select prediction_id, headline_ids, input_sha256 from predictions"
        assert lake.sql(added).to_pylist() == [
            {"prediction_id": "p", "headline_ids": None, "input_sha256": None}
        ]
        assert versions(lake) == [step.version for step in known_migrations()]


def test_baselines_composed_into_metrics_move_to_their_own_column(lake_spec: LakeSpec) -> None:
    metrics = {
        "accuracy": ("accuracy", None),
        "accuracy_vs_majority": ("accuracy", "majority"),
        "mcnemar_p_holm_vs_tfidf_logistic": ("mcnemar_p_holm", "tfidf_logistic"),
        "accuracy_masked_vs_plain": ("accuracy_masked", "plain"),
    }
    connection = attach(lake_spec)
    connection.execute(
        "CREATE TABLE evaluations (dataset_id VARCHAR NOT NULL, split VARCHAR NOT NULL,"
        " slice VARCHAR NOT NULL, predictor VARCHAR NOT NULL, model_id VARCHAR,"
        " metric VARCHAR NOT NULL, value DOUBLE, ci_low DOUBLE, ci_high DOUBLE,"
        " n_examples BIGINT NOT NULL, n_sessions BIGINT NOT NULL,"
        " evaluated_at TIMESTAMPTZ NOT NULL)"
    )
    for number, metric in enumerate(metrics):
        connection.execute(
            "INSERT INTO evaluations VALUES ('d', 'test', 'all', 'fine_tuned', 'm', ?, ?, NULL,"
            " NULL, 10, 5, now())",
            [metric, number],
        )
    connection.close()
    with Lake.open(lake_spec) as lake:
        rows = lake.sql("SELECT metric, baseline FROM evaluations ORDER BY value").to_pylist()
    assert [tuple(row.values()) for row in rows] == list(metrics.values())


def test_pending_migration_is_applied_once_and_keeps_old_snapshots(
    lake: Lake, lake_spec: LakeSpec
) -> None:
    before = lake.snapshot_id()
    lake.close()
    assert migrate(lake_spec, ADD) == (NEXT,)
    assert migrate(lake_spec, ADD) == ()
    with Lake.open(lake_spec, snapshot=before) as past:
        assert "note" not in columns(past, "sessions")


def test_failing_migration_leaves_the_warehouse_as_it_was(lake: Lake, lake_spec: LakeSpec) -> None:
    before = lake.snapshot_id()
    broken = Migration(NEXT + 1, "broken", "-- grain: none\nALTER TABLE nothing DROP COLUMN x;")
    with pytest.raises(LakeError, match=r"_broken failed.*is as it was"):
        migrate(lake_spec, ADD, broken)
    assert lake.snapshot_id() == before
    assert "note" not in columns(lake, "sessions")


def test_older_release_does_not_touch_a_newer_warehouse(lake: Lake, lake_spec: LakeSpec) -> None:
    lake.close()
    migrate(lake_spec, ADD)
    with pytest.raises(LakeError, match=rf"at schema version {NEXT}.*at least as new"):
        Lake.open(lake_spec)


def test_migration_edited_after_the_fact_is_noticed(lake: Lake, lake_spec: LakeSpec) -> None:
    lake.close()
    migrate(lake_spec, ADD)
    edited = Migration(NEXT, "note", ADD.text + "-- edited")
    with pytest.raises(LakeError, match="not the one this warehouse went through"):
        migrate(lake_spec, edited)


def test_gap_in_the_numbers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_one.sql").write_text("-- grain: none\n")
    (tmp_path / "0003_three.sql").write_text("-- grain: none\n")
    with pytest.raises(LakeError, match="expected 0002_words"):
        known_migrations(tmp_path)


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


def test_models_evaluated_before_looks_were_recorded_count_as_looks(former: Lake) -> None:
    """And evaluating one of them again with the same predictions is no second look."""
    judged = (
        "from evaluations where split = 'test' and metric = 'accuracy' and model_id is not null"
    )
    models = former.sql(f"select distinct model_id, predictor, dataset_id {judged}").to_pylist()
    looks = former.sql("select model_id, predictor, dataset_id, sessions from looks").to_pylist()
    assert [{**look, "sessions": None} for look in looks] == [
        {**model, "sessions": None} for model in models
    ]
    assert all(look["sessions"] for look in looks)
    for model in models:
        asked = {name: model[name] for name in ("dataset_id", "predictor", "model_id")}
        found = former.read("looks_overlapping", asked | {"split": "test", "uncounted": ["x"]})
        assert found.select(["asked", "stored"]).to_pylist()[0] == {"asked": True, "stored": True}


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
    since = {"snapshot_id": manifest.snapshot_id, "granularity": manifest.granularity}
    since["code_version"] = manifest.code_version
    assert again.model_copy(update=since) == manifest


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
