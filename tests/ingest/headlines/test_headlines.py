"""Headlines over real loopback HTTP: what is kept, what is refused; and the shipped feeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.ingest.headlines.feeds import FeedSpec, feed_presets
from tasks.ingest.headlines.fetch import fetch_headlines
from tasks.ingest.headlines.requests import feed_requests, request_of
from tasks.ingest.http.client import feed_client
from tasks.ingest.http.retry import FeedLimits, RetryPolicy
from tests.builders.servers import answering
from warehouse.storage.landing import Landing
from warehouse.tables.batches import HEADLINE_TICKERS, HEADLINES, PARTITIONS, REJECTS, HeadlineBatch

NOW = datetime(2020, 3, 4, 12, tzinfo=UTC)
DAY = date(2020, 3, 4)
POLL = FeedSpec(name="wire", url="http://wire.example/rss?s={ticker}")
SEARCH = FeedSpec(
    name="search",
    url="http://search.example/rss?q={ticker}+after:{start}+before:{end}",
    mode="search",
    lag=timedelta(minutes=15),
)


Fetched = Callable[..., HeadlineBatch]


class Pages(dict[str, bytes]):
    """A loopback server at `address` that answers each path with the bytes it was given."""

    address: str


@pytest.fixture
def pages() -> Iterator[Pages]:
    served = Pages()
    with answering(served.get) as served.address:
        yield served


@pytest.fixture
def fetched(pages: Pages, tmp_path: Path) -> Fetched:
    """Fetches from the loopback server with the clock at NOW."""

    def fetch(
        feed: FeedSpec, *tickers: str, start: date = DAY, end: date = DAY, now: datetime = NOW
    ) -> HeadlineBatch:
        landing = Landing(tmp_path / "landing")
        with feed_client(pages.address, FeedLimits(retry=RetryPolicy(attempts=1))) as client:
            return fetch_headlines(
                feed, tickers, start, end, client=client, clock=lambda: now, land=landing.store
            )

    return fetch


def rss(*items: str) -> bytes:
    return f"<rss version='2.0'><channel><title>t</title>{''.join(items)}</channel></rss>".encode()


def item(title: str, published: str = "Tue, 03 Mar 2020 12:00:00 GMT", guid: str = "1") -> str:
    date_tag = f"<pubDate>{published}</pubDate>" if published else ""
    link = f"<link>http://wire.example/{guid}</link>"
    return f"<item><title>{title}</title>{link}<guid>{guid}</guid>{date_tag}</item>"


def test_batch_has_the_tables_of_the_contract(pages: Pages, fetched: Fetched) -> None:
    pages["/rss?s=AAPL"] = rss(item("Apple &amp;amp; friends <![CDATA[<b>rise</b>]]>"))
    batch = fetched(POLL, "AAPL")
    assert batch.headlines.schema == HEADLINES
    assert batch.headline_tickers.schema == HEADLINE_TICKERS
    assert batch.rejects.schema == REJECTS
    assert batch.partitions.schema == PARTITIONS
    (row,) = batch.headlines.to_pylist()
    assert row["title"] == "Apple & friends rise"
    assert row["availability"] == "observed"
    assert row["available_at"] == NOW == row["first_seen_at"]
    assert batch.headline_tickers.to_pylist() == [
        {"headline_id": row["headline_id"], "ticker": "AAPL", "method": "feed"}
    ]
    assert batch.partitions.column("state").to_pylist() == ["done"]


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        ("", "undated"),
        ("2016/6/29", "date not understood"),
        ("04 Fev 2020 12:00:00 GMT", "date with an unknown month name"),
        ("Tue, 03 Mar 2020 12:00:00", "date without a time zone"),
        ("Tue, 03 Mar 2020 12:00:00 BST", "date with an unknown time zone"),
        ("Thu, 05 Mar 2020 12:00:00 GMT", "published in the future"),
        ("Sat, 03 Mar 1900 12:00:00 GMT", "published before 1990"),
        ("Mon, 03 Mar 2020 12:00:00 GMT", "date impossible: its weekday is another one"),
    ],
)
def test_impossible_date_is_quarantined_and_the_rest_goes_on(
    pages: Pages, fetched: Fetched, published: str, reason: str
) -> None:
    pages["/rss?s=AAPL"] = rss(item("Bad", published), item("Good", guid="2"))
    batch = fetched(POLL, "AAPL")
    assert batch.headlines.column("title").to_pylist() == ["Good"]
    (reject,) = batch.rejects.to_pylist()
    assert (reject["kind"], reject["key"], reject["reason"]) == ("headline", "AAPL", reason)
    assert '"title": "Bad"' in reject["record"]


def test_lookahead_search_results_are_asserted_and_lag_behind_their_date(
    pages: Pages, fetched: Fetched
) -> None:
    pages["/rss?q=AAPL+after:2020-03-04+before:2020-03-05"] = rss(item("Apple"))
    (row,) = fetched(SEARCH, "AAPL").headlines.to_pylist()
    assert row["availability"] == "asserted"
    assert row["available_at"] - row["published_at"] == timedelta(minutes=15)


def test_search_asks_once_per_ticker_and_calendar_year() -> None:
    requests = feed_requests(SEARCH, ["MSFT", "AAPL", "AAPL"], date(2018, 6, 1), date(2020, 1, 2))
    assert [(r.key, r.range_start, r.range_end) for r in requests[:3]] == [
        ("AAPL", date(2018, 6, 1), date(2018, 12, 31)),
        ("AAPL", date(2019, 1, 1), date(2019, 12, 31)),
        ("AAPL", date(2020, 1, 1), date(2020, 1, 2)),
    ]
    assert requests[0].url.endswith("q=AAPL+after:2018-06-01+before:2019-01-01")
    assert [r.key for r in requests[3:]] == ["MSFT"] * 3


def test_corrupt_feed_is_recorded_while_others_go_on(pages: Pages, fetched: Fetched) -> None:
    pages["/rss?s=AAPL"] = b"<html><body>Sorry</body></html>"
    pages["/rss?s=MSFT"] = rss(item("Microsoft"))
    batch = fetched(POLL, "AAPL", "MSFT", "GONE")
    assert batch.headlines.column("title").to_pylist() == ["Microsoft"]
    outcome = {row["key"]: row for row in batch.partitions.to_pylist()}
    states = {key: row["state"] for key, row in outcome.items()}
    assert states == {"AAPL": "failed", "GONE": "failed", "MSFT": "done"}
    assert "not a feed" in outcome["AAPL"]["error"]
    assert "HTTP 404" in outcome["GONE"]["error"]
    assert batch.rejects.column("kind").to_pylist() == ["payload"]
    assert len(batch.payloads) == 2, "what answered has landed, readable or not"


def test_identity_survives_changed_guid_and_link_and_case(pages: Pages, fetched: Fetched) -> None:
    pages["/rss?s=AAPL"] = rss(item("Apple rises", guid="1"))
    before = fetched(POLL, "AAPL").headlines
    pages["/rss?s=AAPL"] = rss(item("APPLE  rises", guid="other"))
    after = fetched(POLL, "AAPL").headlines
    assert before.column("headline_id").equals(after.column("headline_id"))


def test_one_story_under_two_tickers_is_one_headline(pages: Pages, fetched: Fetched) -> None:
    for ticker in ("AAPL", "MSFT"):
        pages[f"/rss?s={ticker}"] = rss(item("Apple sues Microsoft"))
    batch = fetched(POLL, "AAPL", "MSFT")
    assert batch.headlines.num_rows == 1
    assert batch.headline_tickers.column("ticker").to_pylist() == ["AAPL", "MSFT"]


def test_placeholders_that_do_not_fit_the_mode_are_refused() -> None:
    with pytest.raises(ValueError, match=r"exactly the placeholders \{ticker\}, got \(none\)"):
        FeedSpec(name="x", url="http://wire.example/rss")


def test_general_feed_is_about_the_companies_its_titles_name(
    pages: Pages, fetched: Fetched
) -> None:
    feed = FeedSpec(name="markets", url="http://wire.example/markets", scope="general")
    items = [item("Ford and Costco climb", guid="1"), item("Fed holds rates", guid="2")]
    pages["/markets"] = rss(*items)
    batch = fetched(feed, "F", "AAPL")
    assert batch.headlines.num_rows == 2
    assert [(row["ticker"], row["method"]) for row in batch.headline_tickers.to_pylist()] == [
        ("F", "alias")
    ]
    assert sorted(fetched(feed, "*").headline_tickers.column("ticker").to_pylist()) == ["COST", "F"]


def test_presets_cover_the_listed_publishers_and_claim_no_verification() -> None:
    presets = feed_presets()
    hosts = " ".join(feed.url.split("/")[2] for feed in presets.values())
    for host in ("yahoo", "nasdaq", "google", "sec.gov", "cnbc", "dowjones"):
        assert host in hosts
    assert all(feed.url.startswith("https://") for feed in presets.values())
    assert not any(feed.verified_live for feed in presets.values())


@pytest.mark.parametrize(
    "name", sorted(name for name, feed in feed_presets().items() if feed.edgar is None)
)
@pytest.mark.parametrize("ticker", ["AAPL", "BRK-B", "BF.B", "^GSPC"])
def test_an_address_tells_the_request_it_came_from(name: str, ticker: str) -> None:
    feed = feed_presets()[name]
    for request in feed_requests(feed, [ticker], DAY, DAY):
        assert request_of(feed, request.url, DAY) == request
    assert request_of(feed, "https://elsewhere.example/rss", DAY) is None


def test_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(ValidationError, match=r"called 'yahu'; there are alpaca, alpaca-latest, "):
        FeedSpec.model_validate({"preset": "yahu"})


def test_configuration_may_override_a_preset() -> None:
    feed = FeedSpec.model_validate({"preset": "nasdaq", "concurrency": 1})
    assert feed == feed_presets()["nasdaq"].model_copy(update={"concurrency": 1})
