"""Importing headlines from files: declared mapping, strict dates, bounded batches."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ingest.archive_file import ArchiveError
from tasks.ingest.headlines.archive import HeadlineMapping, read_headlines
from tests.builders.warehouse import lake_spec_below
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.batches import HEADLINES, REJECTS, HeadlineBatch
from warehouse.tables.headlines import publish_headlines

NOW = datetime(2024, 1, 2, tzinfo=UTC)


def mapping(**other: Any) -> HeadlineMapping:
    fields = {"source": "archive", "title": "text", "published_at": "when", "ticker": "symbol"}
    return HeadlineMapping(**(fields | other))


def batches(path: Path, declared: HeadlineMapping, rows: int = 100_000) -> list[HeadlineBatch]:
    landing = Landing(path.parent / "landing")
    return list(
        read_headlines(path, declared, clock=lambda: NOW, land=landing.store, batch_rows=rows)
    )


def whole(found: list[HeadlineBatch]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    headlines = pa.concat_tables([batch.headlines for batch in found])
    rejects = pa.concat_tables([batch.rejects for batch in found])
    assert headlines.schema == HEADLINES
    assert rejects.schema == REJECTS
    return headlines.to_pylist(), rejects.to_pylist()


CSV = """text,when,symbol
Apple &amp; rises,2020-03-03 12:00:00,AAPL
Apple falls,2020-03-03T12:00:00-05:00,AAPL
Apple waits,"Tue, 03 Mar 2020 12:00:00 GMT",
Apple sleeps,2020-03-03,AAPL
Apple dreams,,AAPL
,2020-03-03 12:00:00,AAPL
Apple in 2099,2099-01-01T00:00:00Z,AAPL
"""
JSONL = """{"text": "Apple &amp; rises", "when": "2020-03-03 12:00:00", "symbol": "AAPL"}
{"text": "Apple falls", "when": "2020-03-03T12:00:00-05:00", "symbol": "AAPL"}
"""


def test_naive_dates_are_read_in_the_declared_zone(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text(CSV)
    headlines, rejects = whole(batches(path, mapping(zone="America/New_York")))
    assert {row["title"]: row["published_at"] for row in headlines} == {
        "Apple waits": datetime(2020, 3, 3, 12, tzinfo=UTC),
        "Apple & rises": datetime(2020, 3, 3, 17, tzinfo=UTC),
        "Apple falls": datetime(2020, 3, 3, 17, tzinfo=UTC),
        "Apple sleeps": datetime(2020, 3, 3, 5, tzinfo=UTC),  # a day, from its first second on
    }
    reasons = ["undated", "no title", "published in the future"]
    assert [row["reason"] for row in rejects] == reasons


def test_naive_dates_without_a_declared_zone_are_quarantined(tmp_path: Path) -> None:
    path = tmp_path / "news.jsonl"
    path.write_text(JSONL)
    headlines, rejects = whole(batches(path, mapping(lag=timedelta(hours=1))))
    assert [row["title"] for row in headlines] == ["Apple falls"]
    assert headlines[0]["available_at"] == datetime(2020, 3, 3, 18, tzinfo=UTC)
    assert [row["reason"] for row in rejects] == ["date without a time zone"]


def test_lookahead_repeated_hour_of_a_clock_change_is_read_as_the_later(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text("text,when,symbol\nApple,2020-11-01 01:30:00,AAPL\n")
    headlines, _ = whole(batches(path, mapping(zone="America/New_York")))
    assert headlines[0]["published_at"] == datetime(2020, 11, 1, 6, 30, tzinfo=UTC)


def test_declared_date_format_and_ticker_list(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text("text,when,symbol\nApple sues Google,03/04/2020 10:15,AAPL;GOOG;\n")
    declared = mapping(zone="UTC", date_format="%d/%m/%Y %H:%M", ticker_separator=";")
    (batch, _) = batches(path, declared)
    when = datetime(2020, 4, 3, 10, 15, tzinfo=UTC)
    assert batch.headlines["published_at"].to_pylist() == [when]
    assert batch.headline_tickers.column("ticker").to_pylist() == ["AAPL", "GOOG"]


def test_parquet_batches_of_any_size_publish_the_same_tables(tmp_path: Path, lake: Lake) -> None:
    path = tmp_path / "news.parquet"
    when = [datetime(2020, 3, 3, hour % 24, tzinfo=UTC) for hour in range(50)]
    titles = [f"Story {number % 40}" for number in range(50)]
    pq.write_table(pa.table({"text": titles, "when": when, "symbol": ["AAPL"] * 50}), path)
    seen = []
    for rows in (50, 7):
        for batch in batches(path, mapping(), rows):
            publish_headlines(lake, batch, now=NOW)
        table = lake.sql("SELECT * FROM headlines ORDER BY headline_id")
        seen.append((table, lake.sql("SELECT * FROM partitions").num_rows))
    assert seen[0][0].equals(seen[1][0])
    assert seen[0][1] == seen[1][1] == 1


def test_unmapped_column_is_named_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text("headline,when\nApple,2020-03-03\n")
    with pytest.raises(ArchiveError, match=r"no column 'symbol', 'text'; it has headline, when"):
        batches(path, mapping())


def test_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "news.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(ArchiveError, match="expected an existing"):
        batches(path, mapping())


ROW = st.fixed_dictionaries(
    {
        "text": st.sampled_from(
            [
                *("Harlow Metals opens second smelter", "Harlow Metals finance chief resigns"),
                *("Harlow shares rise 2%", "Harlow shares rise 3%", "HARLOW SHARES RISE 2%"),
                "Harlow Metals opens a second smelter",
            ]
        ),
        "when": st.sampled_from([f"2020-03-0{day}T21:00:00Z" for day in (2, 3, 5)]),
        "symbol": st.sampled_from(["AAPL", "IBM"]),
        "link": st.sampled_from(["https://quotes.example/AAPL", "https://quotes.example/IBM"]),
        "body": st.sampled_from(["", "A smelter.", "A chief."]),
    }
)


@settings(deadline=None, max_examples=3, database=None)
@given(st.lists(ROW, min_size=2, max_size=12), st.data())
def test_headlines_do_not_depend_on_how_a_file_is_cut(
    rows: list[dict[str, str]], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1), max_size=3)))
    declared = mapping(url="link", summary="body")
    seen = []
    for bounds in ([0, len(rows)], [0, *cuts, len(rows)]):
        with TemporaryDirectory() as name:
            folder = Path(name)
            with Lake.open(lake_spec_below(folder)) as lake:
                for start, end in itertools.pairwise(bounds):
                    path = folder / f"part{start}.jsonl"
                    path.write_text("\n".join(map(json.dumps, rows[start:end])))
                    for batch in batches(path, declared, data.draw(st.integers(1, 12))):
                        publish_headlines(lake, batch, now=NOW)
                seen.append(
                    [
                        lake.sql("SELECT * EXCLUDE (payload_id) FROM headlines ORDER BY ALL"),
                        lake.sql("SELECT * FROM headline_tickers ORDER BY ALL"),
                    ]
                )
    assert seen[0] == seen[1]


@pytest.mark.shared_data
def test_repeated_tweets_of_a_ticker_are_one_story(shared_data: Path, lake: Lake) -> None:
    path = shared_data / "stocknet" / "tweets_preprocessed.parquet"
    declared = mapping(published_at="created_at", ticker="ticker")
    for batch in batches(path, declared):
        assert batch.rejects.num_rows == 0
        publish_headlines(lake, batch, now=NOW)
    counted = lake.sql(
        "SELECT count(*) AS headlines, count(DISTINCT story_id) AS stories FROM headlines"
    ).to_pylist()[0]
    assert counted["headlines"] == 85_558
    assert counted["stories"] < 75_000
    split_up = lake.sql(
        "SELECT count(*) AS n FROM (SELECT title FROM headlines WHERE published_at::DATE ="
        " DATE '2014-06-03' GROUP BY title HAVING count(DISTINCT story_id) > 1)"
    )
    assert split_up.column("n").to_pylist() == [0]
