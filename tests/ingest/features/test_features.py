"""Files and queries of own columns: every bad row is named, the rest is kept, twice is once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.ingest.archive_file import ArchiveError
from tasks.ingest.features.archive import open_features
from tasks.ingest.features.spec import FeatureSource, with_sources
from warehouse.lake import Lake
from warehouse.storage.landing import Payload
from warehouse.tables.batches import FeatureBatch
from warehouse.tables.features import publish_features

NOW = datetime(2020, 1, 1, tzinfo=UTC)
TICKERS = ("AAA", "BBB")
GOOD = "AAA,2019-03-01T12:00:00Z,12.5,buy"


def unlanded(payload: Payload) -> str:
    return payload.payload_id


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., FeatureSource]:
    """A source of two columns, over the lines of a file."""

    def made(*lines: str, header: str = "symbol,when,P/E,rating", **given: Any) -> FeatureSource:
        path = tmp_path / "own.csv"
        path.write_text("\n".join((header, *lines, "")))
        fields = {"ticker": "symbol", "known_at": "when", "values": {"pe": "P/E"}}
        return FeatureSource(name="own", file=path, **{**fields, "texts": ["rating"], **given})

    return made


def read(source: FeatureSource, now: datetime = NOW) -> FeatureBatch:
    with open_features(source, clock=lambda: now) as archive:
        return archive.batch(unlanded, TICKERS)


BAD = {
    ",2019-03-05T08:00:00Z,1,x": "no ticker",
    "not a ticker,2019-03-05T08:00:00Z,1,x": "ticker is not a symbol",
    "ZZZ,2019-03-05T08:00:00Z,1,x": "unknown ticker",
    "AAA,,1,x": "undated",
    "AAA,yesterday,1,x": "date not understood",
    "AAA,2019-02-30T08:00:00Z,1,x": "date impossible",
    "AAA,2019-03-05T08:00:00,1,x": "date without a time zone",
    "AAA,2029-03-05T08:00:00Z,1,x": "known in the future",
    "AAA,2019-03-05T08:00:00Z,NaN,x": "pe is not a finite number",
    "AAA,2019-03-05T08:01:00Z,-inf,x": "pe is not a finite number",
    "AAA,2019-03-05T08:02:00Z,1e999,x": "pe is not a finite number",
    "AAA,2019-03-05T08:03:00Z,a lot,x": "pe is not a finite number",
    "AAA,2019-03-05T08:04:00Z": "line has fewer cells than the header",
}


def test_every_bad_row_has_its_reason_and_the_good_one_stays(source) -> None:
    batch = read(source(GOOD, *BAD))
    assert batch.kept == 1
    assert batch.rows == 1 + len(BAD)
    reasons = {
        json.loads(row["record"]).get("row", 99): row["reason"] for row in batch.rejects.to_pylist()
    }
    assert [reason for _, reason in sorted(reasons.items())] == list(BAD.values())
    assert {row["kind"] for row in batch.rejects.to_pylist()} == {"feature"}


def test_rows_that_contradict_each_other_are_refused_and_repeats_count_once(source) -> None:
    at = "2019-03-05T08:00:00"
    batch = read(source(
        f"AAA,{at}Z,1,x", f"AAA,{at}Z,2,x", f"AAA,{at}+00:00,1,x",
        f"BBB,{at}Z,1,x", f"BBB,{at}Z,1,x", "BBB,2019-03-06T08:00:00Z,,",
        "BBB,2019-03-06T08:00:00Z,1,",
    ))  # fmt: skip
    assert (batch.kept, batch.repeated, batch.rejects.num_rows, batch.rows) == (1, 1, 5, 7)
    (reason,) = {row["reason"] for row in batch.rejects.to_pylist()}
    assert reason == "several values for one ticker and known_at"


def available(batch: FeatureBatch) -> list[tuple[str, str]]:
    rows = batch.features.filter(pa.compute.field("name") == "pe").to_pylist()
    return [(row["granularity"], f"{row['available_at']:%d %H:%M}") for row in rows]


def test_a_day_is_available_when_it_is_over_and_an_instant_at_once(source) -> None:
    stamps = [
        "2019-03-01T12:00:00Z",
        "2019-03-04",
        "2019-03-05T00:00:00+09:00",
        "2019-03-07T00:00Z",
    ]
    lines = [f"AAA,{stamp},1,x" for stamp in stamps]
    days = [("second", "01 12:00"), ("day", "05 12:00"), ("day", "06 12:00"), ("day", "08 12:00")]
    assert available(read(source(*lines))) == days
    later = [("second", "01 14:00"), ("day", "05 14:00"), ("day", "06 14:00"), ("day", "08 14:00")]
    assert available(read(source(*lines, lag=timedelta(hours=2)))) == later
    meant = read(source(*lines, granularity="second"))
    assert [kind for kind, _ in available(meant)] == ["second", "day", "second", "second"]
    local = read(source("AAA,2019-03-05T08:00:00,1,x", zone="America/New_York"))
    assert available(local) == [("second", "05 13:00")]


def test_midnights_of_new_york_are_days_where_most_stamps_are(source) -> None:
    days = [f"AAA,2019-03-0{day}T05:00:00Z,1,x" for day in range(1, 8)]
    assert {kind for kind, _ in available(read(source(*days)))} == {"day"}
    mixed = [days[0], *(f"AAA,2019-03-0{day}T0{day}:10:00Z,1,x" for day in range(2, 8))]
    assert {kind for kind, _ in available(read(source(*mixed)))} == {"second"}


def test_parquet_keeps_its_types_and_a_market_has_no_ticker(tmp_path) -> None:
    path = tmp_path / "macro.parquet"
    at = pa.array([NOW - timedelta(hours=n) for n in (3, 2, 1)], pa.timestamp("ns", "UTC"))
    numbers = pa.array([1.5, None, float("nan")], pa.float32())
    pq.write_table(pa.table({"known_at": at, "vix": numbers}), path)
    batch = read(FeatureSource(name="macro", file=path, values=["vix"]))
    assert [row["number"] for row in batch.features.to_pylist()] == [1.5, None]
    assert {row["ticker"] for row in batch.features.to_pylist()} == {"*"}
    assert batch.rejects["reason"].to_pylist() == ["vix is not a finite number"]


@pytest.fixture
def databases(tmp_path: Path) -> dict[str, Path]:
    """The same row in a DuckDB and an SQLite database and in a file."""
    paths = {kind: tmp_path / f"own.{kind}" for kind in ("duckdb", "sqlite", "csv")}
    made = (
        "create table file (symbol text, stamp text, pe integer)",
        "insert into file values ('AAA', '2019-03-01T12:00:00Z', 3)",
    )
    connected = sqlite3.connect(paths["sqlite"])
    with duckdb.connect(str(paths["duckdb"])) as connection:
        for statement in made:
            connection.execute(statement)
            connected.execute(statement)
    connected.commit()
    connected.close()
    paths["csv"].write_text("symbol,stamp,pe\nAAA,2019-03-01T12:00:00Z,3\n")
    return paths


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "csv"])
def test_a_query_reads_its_own_file_and_nothing_else(kind: str, databases) -> None:
    path = databases[kind]

    def asked(query: str) -> FeatureBatch:
        return read(FeatureSource(name="own", file=path, query=query, ticker="symbol",
                                  known_at="stamp", values=["pe"]))  # fmt: skip

    before = path.read_bytes()
    batch = asked("select symbol, stamp, pe * 2 as pe from file")
    assert [row["number"] for row in batch.features.to_pylist()] == [6.0]
    other = databases["csv" if kind != "csv" else "sqlite"]
    for wrong in (
        f"select * from read_text('{other}')",
        f"copy (select 1) to '{path.parent}/out'",
        f"attach '{other}' as other",
        "delete from file",
        "select 1; select 2",
        "selec 1",
        "select * from nowhere",
        "select * from read_csv('http://127.0.0.1:9/x')",
    ):
        with pytest.raises(ArchiveError, match="features 'own'"):
            asked(wrong)
    assert path.read_bytes() == before
    assert not (path.parent / "out").exists()


def test_a_file_that_is_not_as_declared_is_refused_whole(source, tmp_path) -> None:
    with pytest.raises(ArchiveError, match="has no column 'P/E'"):
        read(source(GOOD, header="symbol,when,pe,rating"))
    gone = source(GOOD).model_copy(update={"file": tmp_path / "gone.csv"})
    with pytest.raises(ArchiveError, match="is not a file"):
        read(gone)
    with pytest.raises(ArchiveError, match="does not exist"):
        read(gone.model_copy(update={"query": "select 1"}))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"values": {}, "texts": []}, "names no columns"),
        ({"values": ["P/E"]}, "small letters"),
        ({"values": ["rating"]}, "both in values and in texts"),
        ({"zone": "New York"}, "IANA"),
        ({"time_to_live": timedelta(0)}, "time_to_live"),
        ({"valeus": ["pe"]}, "valeus"),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(given, named, source) -> None:
    with pytest.raises(ValueError, match=named):
        source(GOOD, **given)


def test_again_is_nothing_and_another_value_is_a_revision(source, lake: Lake) -> None:
    later = NOW + timedelta(days=3)
    first = publish_features(lake, read(source(GOOD)), now=NOW)
    assert (first.rows, first.added, first.revised) == (1, 2, 0)
    before = lake.snapshot_id()
    again = publish_features(lake, read(source(GOOD), later), now=later)
    assert (again.rows, again.added, again.revised, again.redated) == (0, 0, 0, 0)
    known = lake.sql("select count(*) as n from features")["n"][0].as_py()
    assert known == 2
    other = read(source(GOOD.replace("12.5", "12.6")), later)
    assert publish_features(lake, other, now=later).revised == 1
    rows = lake.sql("select * from features where name = 'pe' order by revision").to_pylist()
    assert [row["number"] for row in rows] == [12.5, 12.6]
    assert rows[0]["available_at"] == rows[0]["known_at"]
    assert rows[1]["available_at"] == rows[1]["first_seen_at"] == later
    assert before < lake.snapshot_id()
    redated = publish_features(
        lake, read(source(GOOD.replace("12.5", "12.6"), lag=timedelta(hours=1)), later), now=later
    )
    assert (redated.rows, redated.redated) == (0, 2)  # the revision was available later anyhow


def test_a_data_set_takes_only_what_a_source_has_and_its_time_to_live() -> None:
    features = [{"name": "own", "file": "f.csv", "values": ["pe"], "time_to_live": "P3D"}]
    used = [{"name": "own", "columns": ["pe"]}]
    found = with_sources({"features": features, "dataset": {"features": used}})
    assert found["dataset"]["features"][0]["time_to_live"] == "P3D"
    own = [{"name": "own", "columns": ["pe"], "time_to_live": "P1D"}]
    found = with_sources({"features": features, "dataset": {"features": own}})
    assert found["dataset"]["features"] == own
    for wrong in ({"name": "own", "columns": ["eps"]}, {"name": "other", "columns": ["pe"]}):
        with pytest.raises(ValueError, match="expected one of"):
            with_sources({"features": features, "dataset": {"features": [wrong]}})
    with pytest.raises(ValueError, match="two"):
        with_sources({"features": features * 2})
