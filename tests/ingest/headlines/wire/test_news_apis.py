"""JSON news APIs as they are: pages, caps, limits, keys and nonsense, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sandbox.faults import Fault, FaultKind, FaultPlan
from sandbox.market import Market, bokeh_market
from sandbox.newswire import HEADLINES_SCHEMA
from sandbox.vendor import SandboxVendor
from tasks.ingest.headlines.feeds import FeedSpec, feed_presets
from tasks.ingest.headlines.fetch import fetch_headlines, replay_headlines
from tasks.ingest.headlines.identity import load_aliases
from tasks.ingest.http import redaction
from tasks.ingest.http.client import feed_client
from tasks.ingest.http.retry import FeedLimits, RetryPolicy
from tasks.ingest.planning import incomplete_ranges, ledger_of
from warehouse.lake import Lake
from warehouse.storage.landing import Landing, Payload, landed_answers
from warehouse.tables.batches import HeadlineBatch
from warehouse.tables.headlines import publish_headlines

NOW = datetime(2012, 7, 2, 12, tzinfo=UTC)
DAY = date(2012, 6, 5)
BEGIN = datetime(2012, 6, 5, tzinfo=UTC)
STORIES = 130
KEYS = {
    name: f"{name.lower()}-4711"
    for name in ("FINNHUB_TOKEN", "POLYGON_KEY", "ALPACA_KEY_ID", "ALPACA_SECRET_KEY",
                 "BENZINGA_TOKEN", "NEWSAPI_KEY")
}  # fmt: skip
PRESETS = feed_presets()
APIS = sorted(name for name, feed in PRESETS.items() if feed.api and feed.mode == "search")
KEYED = [name for name in APIS if name != "gdelt"]
PAGED = ["alpaca", "benzinga", "newsapi", "polygon"]
ALIASES = load_aliases().filter(pc.is_in(load_aliases()["ticker"], pa.array(["IBM", "MSFT"])))
QUICK = FeedLimits(retry=RetryPolicy(attempts=2, first_wait=0.01))


def stories() -> list[datetime]:
    """When each story comes out: every eleven minutes of a day, none at its midnight."""
    return [BEGIN + timedelta(minutes=11 * number, seconds=7) for number in range(STORIES)]


def newswire() -> pa.Table:
    """The stories of one company in one day, and one of another."""
    rows = [
        {
            "guid": f"n{number}", "ticker": "IBM", "title": f"IBM unveils its plan number {number}",
            "summary": "Made up.", "link": f"https://www.sandbox.example/{number}",
            "published_at": at,
        }
        for number, at in enumerate(stories())
    ]  # fmt: skip
    other = rows[0] | {"guid": "m", "ticker": "MSFT", "title": "Microsoft sues a florist"}
    return pa.Table.from_pylist([*rows, other], schema=HEADLINES_SCHEMA)


def small(name: str) -> FeedSpec:
    """A shipped API whose answers hold few items, so that one day takes several."""
    feed = PRESETS[name]
    url = feed.url
    for most in ("limit=1000", "pageSize=100", "limit=50", "maxrecords=250"):
        url = url.replace(most, f"{most.partition('=')[0]}=20")
    fields: dict[str, Any] = {"url": url}
    if feed.cap is not None:
        fields["cap"] = 20
    if feed.api is not None and feed.api.paging.size is not None:
        paging = feed.api.paging.model_copy(update={"size": 20})
        fields["api"] = feed.api.model_copy(update={"paging": paging})
    return feed.model_copy(update=fields)


@dataclass
class Wire:
    """A vendor with the day's stories; it is asked for IBM's, or for all."""

    stack: ExitStack
    landing: Landing
    market: Market
    landed: list[Payload] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    vendor: SandboxVendor | None = None

    def ask(
        self, feed: FeedSpec, *faults: Fault, keys: tuple[str, ...] = ("IBM",)
    ) -> HeadlineBatch:
        plan = FaultPlan.of(*faults)
        vendor = SandboxVendor(self.market, newswire(), now=lambda: NOW, faults=plan)
        self.vendor = self.stack.enter_context(vendor)
        with feed_client(vendor.base_url, QUICK, sleep=self.waits.append) as client:
            return fetch_headlines(
                feed,
                keys if feed.scope == "ticker" else ("*",),
                DAY,
                DAY,
                client=client,
                clock=lambda: NOW,
                land=self.land,
                aliases=ALIASES,
            )

    def land(self, payload: Payload) -> str:
        self.landed.append(payload)
        return self.landing.store(payload)

    @property
    def asked(self) -> int:
        assert self.vendor is not None
        return len(self.vendor.requests)


@pytest.fixture(scope="module")
def market() -> Market:
    return bokeh_market()


@pytest.fixture
def wire(market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    monkeypatch.setattr(redaction, "_known", frozenset())
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        yield Wire(stack, Landing(tmp_path / "landing"), market)


def state_of(batch: HeadlineBatch) -> tuple[str, str | None]:
    [row] = batch.partitions.to_pylist()
    return row["state"], row["error"]


def of_ibm(batch: HeadlineBatch) -> dict[str, Any]:
    """IBM's headlines by their titles."""
    about = {
        row["headline_id"] for row in batch.headline_tickers.to_pylist() if row["ticker"] == "IBM"
    }
    rows = [row for row in batch.headlines.to_pylist() if row["headline_id"] in about]
    return {row["title"]: row for row in rows}


@pytest.mark.parametrize("name", APIS)
def test_every_story_of_a_day_comes_once_whatever_the_dialect(wire: Wire, name: str) -> None:
    feed = small(name)
    batch = wire.ask(feed)
    found = of_ibm(batch)
    assert len(found) == STORIES
    assert batch.headline_tickers.num_rows == batch.headlines.num_rows
    assert batch.rejects.num_rows == 0
    assert state_of(batch) == ("done", None)
    assert wire.asked >= 7 or name == "finnhub"
    for number, at in enumerate(stories()):
        row = found[f"IBM unveils its plan number {number}"]
        assert row["url"] == f"https://www.sandbox.example/{number}"
        assert row["available_at"] >= at + feed.lag
        assert row["published_at"] <= at
        if name != "gdelt":
            assert row["published_at"] == at
            assert row["available_at"] == at + feed.lag
    text = "".join(payload.url + payload.body.decode() for payload in wire.landed)
    assert [key for key in KEYS.values() if key in text] == []


@pytest.mark.parametrize("name", KEYED)
def test_key_reaches_the_vendor_with_every_page(wire: Wire, name: str) -> None:
    wire.ask(small(name))
    assert wire.vendor is not None
    for served in wire.vendor.requests:
        assert served.status == 200
        sent = [*served.request.headers.values(), *served.request.query.values()]
        assert any(key in value for key in KEYS.values() for value in sent)


@pytest.mark.parametrize("name", KEYED)
def test_missing_key_is_named_and_nothing_is_sent(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for key in KEYS:
        monkeypatch.delenv(key)
    state, error = state_of(wire.ask(PRESETS[name]))
    assert state == "failed"
    assert "refers to the environment variable" in str(error)
    assert wire.asked == 0


@pytest.mark.parametrize("name", PAGED)
def test_page_that_fails_spoils_itself_only(wire: Wire, name: str) -> None:
    batch = wire.ask(small(name), Fault(kind="server_error", first=3))
    state, error = state_of(batch)
    assert state == "partial"
    assert "HTTP 500" in str(error)
    assert len(of_ibm(batch)) == 40, "two pages came"


def test_pages_that_did_not_come_are_asked_for_again(wire: Wire, lake: Lake) -> None:
    feed = small("polygon")
    batch = wire.ask(feed, Fault(kind="server_error", first=3))
    publish_headlines(lake, batch, now=NOW)
    [known] = incomplete_ranges(lake, "polygon", None, (DAY, DAY))
    assert "HTTP 500" in known.words
    assert ledger_of(lake, "polygon", NOW + timedelta(hours=4)).due == {"IBM": [(DAY, DAY)]}
    publish_headlines(lake, wire.ask(feed), now=NOW)
    assert incomplete_ranges(lake, "polygon", None, (DAY, DAY)) == ()
    found = lake.sql("SELECT count(*) AS n FROM headline_tickers WHERE ticker = 'IBM'")
    assert found["n"].to_pylist() == [STORIES]


@pytest.mark.parametrize("name", PAGED)
def test_endless_paging_is_cut(wire: Wire, name: str) -> None:
    batch = wire.ask(small(name), Fault(kind="endless_paging"))
    state, error = state_of(batch)
    assert state == "partial"
    assert "the same next page again" in str(error) or "only repeats items" in str(error)
    assert wire.asked <= 3
    assert len(of_ibm(batch)) > 0


@pytest.mark.parametrize("name", PAGED)
def test_item_on_two_pages_is_one(wire: Wire, name: str) -> None:
    batch = wire.ask(small(name), Fault(kind="page_overlap"))
    assert len(of_ibm(batch)) == STORIES
    assert batch.headline_tickers.num_rows == batch.headlines.num_rows
    assert state_of(batch)[0] == "done"


def test_next_page_on_another_host_is_not_asked_for(wire: Wire) -> None:
    batch = wire.ask(small("polygon"), Fault(kind="next_elsewhere"))
    state, error = state_of(batch)
    assert (state, wire.asked, len(of_ibm(batch))) == ("partial", 1, 20)
    assert "https://elsewhere.example, expected https://api.massive.com" in str(error)


def test_key_in_the_address_of_the_next_page_is_kept_nowhere(wire: Wire) -> None:
    batch = wire.ask(small("polygon"), Fault(kind="next_with_key"))
    assert (len(of_ibm(batch)), state_of(batch)[0]) == (STORIES, "done")
    assert wire.vendor is not None
    assert not any("apiKey" in served.request.query for served in wire.vendor.requests)
    text = "".join(payload.url + payload.body.decode() for payload in wire.landed)
    assert "apiKey=***" in text
    assert KEYS["POLYGON_KEY"] not in text


def test_more_pages_than_allowed_are_asked_for_in_parts_of_the_day(wire: Wire) -> None:
    feed = small("alpaca")
    assert feed.api is not None
    api = feed.api.model_copy(update={"paging": feed.api.paging.model_copy(update={"pages": 2})})
    batch = wire.ask(feed.model_copy(update={"api": api}))
    assert (len(of_ibm(batch)), state_of(batch)) == (STORIES, ("done", None))
    days_only = small("benzinga")
    assert days_only.api is not None
    paging = days_only.api.paging.model_copy(update={"pages": 2})
    api = days_only.api.model_copy(update={"paging": paging})
    batch = wire.ask(days_only.model_copy(update={"api": api}))
    state, error = state_of(batch)
    assert (state, len(of_ibm(batch))) == ("partial", 40)
    assert "limit of 2 pages" in str(error)


def test_full_answer_is_split_down_to_the_grain_and_then_incomplete(wire: Wire) -> None:
    feed = small("gdelt")
    crowded = feed.model_copy(update={"url": feed.url.replace("=20&", "=1&"), "cap": 1})
    batch = wire.ask(crowded)
    state, error = state_of(batch)
    assert state == "partial"
    assert "the cap of 1 items was reached in a part of a day" in str(error)
    windows = {payload.url.partition("&startdatetime=")[2] for payload in wire.landed}
    assert "20120605000000&enddatetime=20120605001459" in windows
    assert len(batch.headlines) > 90, "one of each quarter of an hour"
    done = wire.ask(feed)
    assert state_of(done) == ("done", None)
    assert len(of_ibm(done)) == STORIES


def test_gdelt_saw_it_by_the_end_of_its_quarter_and_midnight_is_no_day(
    wire: Wire, lake: Lake
) -> None:
    batch = wire.ask(PRESETS["gdelt"])
    publish_headlines(lake, batch, now=NOW)
    rows = lake.sql("SELECT * FROM headlines ORDER BY published_at").to_pylist()
    assert rows[0]["published_at"] == BEGIN
    for row in rows:
        assert row["granularity"] == "minute"
        assert row["availability"] == "asserted"
        assert row["available_at"] - row["published_at"] == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("words", "tries"),
    [("Your query was too short or too long.", 1),
     ("Please limit requests to one every 5 seconds or contact us.", 2)],
)  # fmt: skip
def test_plain_text_of_gdelt_is_an_error_and_a_busy_one_is_tried_again(
    wire: Wire, words: str, tries: int
) -> None:
    batch = wire.ask(PRESETS["gdelt"], Fault(kind="plain_text", text=words))
    state, error = state_of(batch)
    assert (state, wire.asked) == ("failed", tries)
    assert words[:25] in str(error)
    assert batch.rejects["kind"].to_pylist() == ["payload"]
    assert [payload.body.decode() for payload in wire.landed] == [words]
    again = wire.ask(PRESETS["gdelt"], Fault(kind="plain_text", text=words, times=1))
    assert state_of(again)[0] == ("done" if tries == 2 else "failed")


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize("kind", ["error_object", "html_page", "plain_text"])
def test_answer_without_news_is_a_failure_and_not_no_news(
    wire: Wire, name: str, kind: FaultKind
) -> None:
    batch = wire.ask(PRESETS[name], Fault(kind=kind))
    assert (state_of(batch)[0], batch.headlines.num_rows) == ("failed", 0)
    assert batch.rejects["kind"].to_pylist() == ["payload"]


def test_day_without_news_is_empty(wire: Wire) -> None:
    for name in APIS:
        feed = PRESETS[name]
        with feed_client(wire_of(wire), QUICK) as client:
            batch = fetch_headlines(
                feed, ("IBM",) if feed.scope == "ticker" else ("*",), date(2012, 6, 9),
                date(2012, 6, 9), client=client, clock=lambda: NOW, land=wire.land,
                aliases=ALIASES,
            )  # fmt: skip
        assert state_of(batch) == ("empty", None), name


def wire_of(wire: Wire) -> str:
    """The address of the vendor, started if need be."""
    if wire.vendor is None:
        vendor = SandboxVendor(wire.market, newswire(), now=lambda: NOW)
        wire.vendor = wire.stack.enter_context(vendor)
    return wire.vendor.base_url


@pytest.mark.parametrize("name", APIS)
def test_odd_items_are_quarantined_and_the_others_go_on(wire: Wire, name: str) -> None:
    batch = wire.ask(PRESETS[name], Fault(kind="odd_items", times=1))
    # An item that tells when it was updated is dated by that.
    undated = [] if name in ("alpaca", "benzinga") else ["undated"]
    zoneless = {
        "alpaca": [],
        "benzinga": ["published is not written as rfc2822"],
        "finnhub": ["date is not a number"],
        "gdelt": ["published is not written as compact"],
    }.get(name, ["date without a time zone"])
    assert sorted(batch.rejects["reason"].to_pylist()) == sorted([
        "item is null, expected an object", "item is a text, expected an object", "no title",
        "title is a number, expected a text", "title is an object, expected a text", *undated,
        "published is an object, expected a time", *zoneless,
    ])  # fmt: skip
    assert len(of_ibm(batch)) == STORIES
    assert state_of(batch)[0] == "done"


@pytest.mark.parametrize("name", APIS)
def test_broken_json_costs_the_item_it_is_in(wire: Wire, name: str) -> None:
    feed = PRESETS[name] if name == "gdelt" else small(name)
    batch = wire.ask(feed, Fault(kind="broken_json", times=1))
    titles = of_ibm(batch)
    if name == "gdelt":
        assert batch.rejects.num_rows == 0, "its stray signs are passed over"
        assert len(titles) == STORIES
        assert any(title.startswith("It's IBM") for title in titles)
        return
    assert batch.rejects["reason"].to_pylist() == ["item is no JSON"]
    if name in ("alpaca", "polygon"):
        assert state_of(batch)[0] == "partial", "the way to the next page is lost"
        assert len(titles) == 19
    else:
        assert len(titles) == STORIES - 1


@pytest.mark.parametrize("name", APIS)
def test_answer_that_breaks_off_keeps_its_items_and_is_partial(wire: Wire, name: str) -> None:
    batch = wire.ask(PRESETS[name], Fault(kind="truncated", first=1, times=1))
    assert state_of(batch)[0] == "partial"
    assert 0 < len(of_ibm(batch)) <= STORIES


@pytest.mark.parametrize("status", ["rate_limited", "server_error"])
def test_vendor_at_its_limit_is_not_asked_for_the_rest(wire: Wire, status: FaultKind) -> None:
    tickers = ("AAPL", "GOOG", "IBM", "MSFT", "FB")
    feed = PRESETS["finnhub"]
    batch = wire.ask(feed, Fault(kind=status, value=1), keys=tickers)
    states = batch.partitions["state"].to_pylist()
    assert states == ["failed"] * len(tickers)
    # Two attempts a request, and one each once two requests have failed in all of theirs.
    assert wire.asked == (2 if status == "rate_limited" else 2 * 2 + len(tickers) - 2)
    if status == "rate_limited":
        assert wire.waits == [1.0], "as long as Retry-After asks"
        assert sum("was not asked for" in error for error in batch.partitions["error"].to_pylist())


@pytest.mark.parametrize("name", ["gdelt", "polygon"])
def test_replay_of_landed_pages_finds_nothing_new(wire: Wire, lake: Lake, name: str) -> None:
    feed = small(name)
    publish_headlines(lake, wire.ask(feed), now=NOW)
    before = lake.snapshot_id()
    answers = landed_answers(lake, wire.landing, feed.name)
    batches = list(replay_headlines(feed, answers, aliases=ALIASES))
    assert sum(len(batch.payloads) for batch in batches) == len(wire.landed)
    for batch in batches:
        publish_headlines(lake, batch, now=NOW)
    assert lake.snapshot_id() == before


def test_polled_story_stays_observed_when_it_is_found_again(wire: Wire, lake: Lake) -> None:
    search, poll = PRESETS["alpaca"], PRESETS["alpaca-latest"]
    assert (search.source, poll.source) == ("alpaca", "alpaca")
    publish_headlines(lake, wire.ask(poll), now=NOW)
    publish_headlines(lake, wire.ask(search), now=NOW)
    rows = lake.sql("SELECT availability, available_at FROM headlines").to_pylist()
    assert len(rows) == STORIES
    assert {row["availability"] for row in rows} == {"observed"}
    assert {row["available_at"].astimezone(UTC) for row in rows} == {NOW}
