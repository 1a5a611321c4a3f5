"""A day is not an instant: what a source dates by the day counts once the day is over."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.checks.lookahead import audit_lookahead
from tasks.dataset.build import assemble_dataset, refresh_examples
from tasks.dataset.spec.card import card
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.split import SplitSpec
from tasks.ingest.headlines.archive import HeadlineMapping, read_headlines
from tasks.ingest.headlines.batch_builder import BatchBuilder
from tasks.ingest.headlines.dates import parse_published
from tasks.ingest.headlines.feeds import FeedSpec, feed_presets
from tasks.ingest.headlines.requests import FeedRequest
from warehouse.lake import Lake
from warehouse.lake.connection import attach
from warehouse.lake.migrations import Migration, bring_up_to_date, known_migrations
from warehouse.storage.landing import Landing, Payload
from warehouse.tables.batches import HeadlineBatch
from warehouse.tables.headlines import publish_headlines

NOW = datetime(2026, 2, 1, tzinfo=UTC)
LAG = timedelta(minutes=15)
SEARCH = FeedSpec(
    name="search",
    url="http://search.example/rss?q={ticker}+after:{start}+before:{end}",
    mode="search",
    lag=LAG,
)


def over(day: date) -> datetime:
    """When a day is over everywhere on earth: at noon UTC of the next."""
    return datetime.combine(day + timedelta(days=1), time(12), UTC)


def served(feed: FeedSpec, *stamps: str, other: str = "") -> HeadlineBatch:
    """The batch of a feed whose answer has an item for each date string."""
    items = "".join(
        f"<item><title>Harlow report {number}</title><guid>{number}</guid>"
        f"<pubDate>{stamp}</pubDate>{other}</item>"
        for number, stamp in enumerate(stamps)
    )
    dc = "xmlns:dc='http://purl.org/dc/elements/1.1/'"
    body = f"<rss version='2.0' {dc}><channel><title>Wire</title>{items}</channel></rss>".encode()
    request = FeedRequest("AAPL", "http://search.example/", NOW.date(), NOW.date())
    builder = BatchBuilder(feed)
    builder.add(request, Payload("search", request.url, 200, (), body, NOW), "p")
    return builder.batch()


def imported(folder: Path, rows: list[dict[str, Any]], **mapping: Any) -> HeadlineBatch:
    """The one batch with rows of an archive of {title, date, ticker}."""
    path = folder / "news.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {"source": "archive", "title": "title", "published_at": "date", "ticker": "ticker"}
    declared = HeadlineMapping(**fields | {"lag": LAG} | mapping)
    land = Landing(folder / "landing").store
    return next(iter(read_headlines(path, declared, clock=lambda: NOW, land=land)))


def rows(*dates: Any) -> list[dict[str, Any]]:
    return [
        {"title": f"Harlow report {number}", "date": at, "ticker": "AAPL"}
        for number, at in enumerate(dates)
    ]


def known(batch: HeadlineBatch) -> list[datetime]:
    """When each headline became available, in the order of their titles."""
    return batch.headlines.sort_by("title")["available_at"].to_pylist()


def test_midnights_of_a_search_are_days_and_its_instants_stay_instants() -> None:
    batch = served(
        SEARCH,
        "Fri, 12 Sep 2025 07:00:00 GMT",  # midnight Pacific, in summer and in winter
        "Tue, 16 Sep 2025 21:14:07 GMT",
        "Wed, 31 Dec 2025 08:00:00 GMT",
    )
    assert known(batch) == [
        over(date(2025, 9, 12)) + LAG,
        datetime(2025, 9, 16, 21, 14, 7, tzinfo=UTC) + LAG,
        over(date(2025, 12, 31)) + LAG,
    ]
    kinds = batch.headlines.sort_by("title")["granularity"].to_pylist()
    assert kinds == ["day", "second", "day"]


@pytest.mark.parametrize(
    "dates",
    [
        ["2025-09-12 00:00:00", "2025-09-15 00:00:00"],
        ["2025-09-12", "2025-09-15"],
        ["12 Sep 2025", "September 15, 2025"],
        ["2025-09-12T00:00:00+05:30", "2025-09-15T00:00:00-03:00"],
        ["20250912", "2025/09/15"],
    ],
)
def test_dates_without_a_time_of_day_need_no_zone_and_wait_for_their_day_to_end(
    tmp_path: Path, dates: list[str]
) -> None:
    batch = imported(tmp_path, rows(*dates))
    assert known(batch) == [over(date(2025, 9, 12)) + LAG, over(date(2025, 9, 15)) + LAG]
    assert batch.rejects.num_rows == 0


def test_one_time_of_day_on_many_days_is_no_time_of_day(tmp_path: Path) -> None:
    stamps = [f"2025-09-{day:02}T18:30:00Z" for day in range(8, 14)]  # midnight in Kolkata
    batch = imported(tmp_path, rows(*stamps, "2025-09-12T10:11:12Z"))
    assert known(batch)[:6] == [over(date(2025, 9, day + 1)) + LAG for day in range(8, 14)]
    assert known(batch)[6] == datetime(2025, 9, 12, 10, 26, 12, tzinfo=UTC)


def test_what_is_learned_of_a_source_holds_for_what_it_said_before(
    tmp_path: Path, lake: Lake
) -> None:
    stamps = [f"2025-09-{day:02}T18:30:00Z" for day in range(8, 14)]
    for number, part in enumerate((stamps[:1], stamps[1:])):
        folder = tmp_path / str(number)
        folder.mkdir()
        news = [row | {"title": f"{row['title']} of {number}"} for row in rows(*part)]
        publish_headlines(lake, imported(folder, news), now=NOW)
    found = lake.sql("SELECT granularity, available_at FROM headlines ORDER BY published_at")
    assert set(found["granularity"].to_pylist()) == {"day"}
    expected = [over(date(2025, 9, day + 1)) + LAG for day in range(8, 14)]
    assert found["available_at"].to_pylist() == expected


def test_no_cut_of_a_file_decides_when_its_days_are_over(tmp_path: Path, lake: Lake) -> None:
    """One time of day that is no midnight, in a zone: the same in one file and in several."""
    dates = [f"2025-09-{day:02} 16:00:00" for day in range(8, 14)]
    news = [row | {"title": row["title"] + " whole"} for row in rows(*dates)]
    whole = imported(tmp_path, news, zone="America/New_York")
    for number, part in enumerate((dates[:2], dates[2:3], dates[3:])):
        folder = tmp_path / str(number)
        folder.mkdir()
        news = [row | {"title": f"{row['title']} of {number}"} for row in rows(*part)]
        publish_headlines(lake, imported(folder, news, zone="America/New_York"), now=NOW)
    found = lake.sql("SELECT granularity, available_at FROM headlines ORDER BY published_at")
    assert set(found["granularity"].to_pylist()) == {"day"}
    assert found["available_at"].to_pylist() == known(whole)


def test_twelve_digits_are_a_date_or_milliseconds_by_the_year_they_mean(tmp_path: Path) -> None:
    batch = imported(tmp_path, rows("202509121530", "999999999999"), zone="UTC")
    read = batch.headlines.sort_by("title")["published_at"].to_pylist()
    assert [at.replace(microsecond=0) for at in read] == [
        datetime(2025, 9, 12, 15, 30, tzinfo=UTC),
        datetime(2001, 9, 9, 1, 46, 39, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-06-05 06:30:54 UTC", datetime(2020, 6, 5, 6, 30, 54, tzinfo=UTC)),
        ("Fri, 05 Jun 2020 10:30:54 EDT", datetime(2020, 6, 5, 14, 30, 54, tzinfo=UTC)),
        ("mer, 16 nov 2022 00:38:15 +0100", datetime(2022, 11, 15, 23, 38, 15, tzinfo=UTC)),
        ("Jun 5, 2020 10:30 AM EDT", datetime(2020, 6, 5, 14, 30, tzinfo=UTC)),
        ("20200605T063054Z", datetime(2020, 6, 5, 6, 30, 54, tzinfo=UTC)),
        ("1704450600", datetime(2024, 1, 5, 10, 30, tzinfo=UTC)),
        ("1704450600123", datetime(2024, 1, 5, 10, 30, tzinfo=UTC)),
        ("1704450600123456", datetime(2024, 1, 5, 10, 30, tzinfo=UTC)),
        ("1704450600.0", datetime(2024, 1, 5, 10, 30, tzinfo=UTC)),
        ("1.704450600123e+12", datetime(2024, 1, 5, 10, 30, tzinfo=UTC)),
        ("Fri Jan 05 10:30:00 +0000 2024", datetime(2024, 1, 5, 10, 30, tzinfo=UTC)),
    ],
)
def test_feeds_and_archives_read_one_grammar(tmp_path: Path, text: str, expected: datetime) -> None:
    assert parse_published(text).at == expected
    batch = imported(tmp_path, rows(text))
    read = [at.replace(microsecond=0) for at in batch.headlines["published_at"].to_pylist()]
    assert read == [expected]


def test_a_zone_name_in_a_declared_format_is_applied_once(tmp_path: Path) -> None:
    declared = {"date_format": "%Y-%m-%d %H:%M:%S %Z", "zone": "America/New_York"}
    batch = imported(
        tmp_path, rows("2020-01-06 10:30:54 EST", "2020-01-06 10:30:54 UTC"), **declared
    )
    read = batch.headlines.sort_by("title")["published_at"].to_pylist()
    assert read == [datetime(2020, 1, 6, hour, 30, 54, tzinfo=UTC) for hour in (15, 10)]


def test_a_feed_may_declare_the_zone_of_its_dates() -> None:
    zoned = SEARCH.model_copy(update={"zone": "Europe/Rome"})
    batch = served(zoned, "2024-07-09 13:05:00")
    assert batch.headlines["published_at"].to_pylist() == [datetime(2024, 7, 9, 11, 5, tzinfo=UTC)]
    assert served(SEARCH, "2024-07-09 13:05:00").rejects["reason"].to_pylist() == [
        "date without a time zone"
    ]


def test_a_good_second_date_is_used_when_the_first_is_bad() -> None:
    second = "<dc:date>2024-07-09T13:05:00Z</dc:date>"
    for bad in ("9 July 2024", "soon", ""):
        batch = served(SEARCH, bad, other=second)
        when = batch.headlines["published_at"].to_pylist()
        assert when == [datetime(2024, 7, 9, 13, 5, tzinfo=UTC)], bad


def test_the_shipped_search_is_usable_as_days_only() -> None:
    google = feed_presets()["google-news"]
    assert google.granularity == "day"
    batch = served(google, "Tue, 16 Sep 2025 21:14:07 GMT", "Fri, 12 Sep 2025 07:00:00 GMT")
    days = (date(2025, 9, 16), date(2025, 9, 12))
    assert known(batch) == [over(day) + google.lag for day in days]


ZONES = ("UTC", "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Asia/Kolkata")


@settings(deadline=None, max_examples=30, database=None)
@given(
    st.sampled_from(ZONES),
    st.lists(st.dates(date(2024, 1, 1), date(2025, 12, 1)), min_size=6, max_size=12, unique=True),
    st.integers(0, 2),
)
def test_no_day_is_available_before_it_is_over_wherever_it_was_midnight(
    zone: str, days: list[date], instants: int
) -> None:
    midnights = [datetime.combine(day, time(0), ZoneInfo(zone)).astimezone(UTC) for day in days]
    others = [datetime(2025, 3, 4, 9, 8, 7 + n, tzinfo=UTC) for n in range(instants)]
    stamps = [at.strftime("%a, %d %b %Y %H:%M:%S GMT") for at in midnights + others]
    batch = served(SEARCH, *stamps)
    titles = batch.headlines["title"].to_pylist()
    by_title = dict(zip(titles, batch.headlines["available_at"].to_pylist(), strict=True))
    for number, day in enumerate(days):
        end = datetime.combine(day + timedelta(days=1), time(0), ZoneInfo(zone))
        assert by_title[f"Harlow report {number}"] >= max(end, over(day))
    for number, at in enumerate(others, start=len(days)):
        assert by_title[f"Harlow report {number}"] == at + LAG


SPEC = DatasetSpec(split=SplitSpec(train_until=date(2019, 5, 1), validation_until=date(2019, 6, 3)))


@pytest.mark.parametrize("taken_for", ["second", "day", None])
def test_lookahead_a_day_that_tells_its_own_close_says_nothing_about_it(
    tmp_path: Path, lake: Lake, fill: Any, taken_for: str | None
) -> None:
    """Each day's headline says how the day closed; only who takes it for an instant can use it."""
    calendar = exchange_sessions("XNYS", date(2019, 1, 2), date(2019, 6, 28)).to_pylist()
    rises = np.random.default_rng(5).random(len(calendar)) < 0.5
    prices = [
        (row["session"], 100.0, 101.0 if up else 99.0)
        for row, up in zip(calendar, rises, strict=True)
    ]
    fill.bars("AAPL", prices)
    news = [
        {
            "title": f"Harlow closes {'higher' if up else 'lower'} on {row['session']:%B %d}",
            "date": f"{row['session']} 00:00:00",
            "ticker": "AAPL",
        }
        for row, up in zip(calendar, rises, strict=True)
    ]
    batch = imported(tmp_path, news, zone="America/New_York")
    publish_headlines(lake, batch, now=NOW)
    if taken_for is not None:
        early = lake.sql(
            f"SELECT * REPLACE (published_at AS available_at, '{taken_for}' AS granularity) "
            "FROM headlines"
        )
        lake.transact(lambda tx: tx.upsert("headlines", early, ("headline_id",)))
    refresh_examples(lake, SPEC, now=NOW)
    shown = lake.sql("SELECT input, label FROM examples WHERE label IS NOT NULL").to_pylist()
    told = np.array(["closes higher" in row["input"] for row in shown])
    came = np.array([row["label"] == "up" for row in shown])
    correlation = float(np.corrcoef(told, came)[0, 1])
    noise = 4 / np.sqrt(len(shown))
    assert len(shown) > 100
    report = audit_lookahead(lake, SPEC, moments=1, plants=5, checks=("clock",))
    if taken_for is not None:
        assert correlation > 0.95
        assert not report.passed
        assert "dated by a day" in report.words()
    else:
        assert abs(correlation) < noise
        assert report.passed, report.words()


def test_a_warehouse_that_took_days_for_instants_is_judged_again(
    tmp_path: Path, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    """The migration alone, on rows as the former release stored them."""
    stamps = [f"2025-09-{day:02} 00:00:00" for day in range(8, 14)]
    publish_headlines(lake, imported(tmp_path, rows(*stamps), zone="America/New_York"), now=NOW)
    former = lake.sql(
        "SELECT * REPLACE (published_at + INTERVAL 15 MINUTES AS available_at, "
        "'second' AS granularity) FROM headlines"
    )
    lake.transact(lambda tx: tx.upsert("headlines", former, ("headline_id",)))
    (step,) = [one for one in known_migrations() if one.name == "days_are_not_instants"]
    again = Migration(len(known_migrations()) + 1, "again", step.text)
    connection = attach(lake.spec)
    bring_up_to_date(connection, (*known_migrations(), again))
    connection.close()
    assert "6 headlines of 1 sources are dated by the day" in caplog.text
    found = lake.sql("SELECT granularity, available_at FROM headlines ORDER BY published_at")
    assert set(found["granularity"].to_pylist()) == {"day"}
    expected = [over(date(2025, 9, day)) + LAG for day in range(8, 14)]
    assert found["available_at"].to_pylist() == expected


def test_the_manifest_and_the_card_tell_what_stamps_are_good_for(
    tmp_path: Path, lake: Lake, fill: Any
) -> None:
    calendar = exchange_sessions("XNYS", date(2019, 1, 2), date(2019, 6, 28)).to_pylist()
    fill.bars("AAPL", [(row["session"], 100.0, 101.0) for row in calendar])
    days = [f"2019-02-{day:02}" for day in (4, 5, 6)]
    batch = imported(tmp_path, rows(*days, "2019-02-07T10:11:12Z"))
    publish_headlines(lake, batch, now=NOW)
    manifest = assemble_dataset(lake, SPEC, tmp_path / "datasets", now=NOW)
    assert manifest.granularity == {"archive": {"day": 3, "second": 1}}
    assert "Headlines of archive are dated: 3 to the day, 1 to the second." in card(manifest)
