"""EDGAR's filings: one event each, accepted when they were, whatever their Z says."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
import pytest

from flows.publish import record_sessions
from flows.settings import ConfigurationError, load_settings
from sandbox.faults import Fault, FaultPlan
from sandbox.market import Market, bokeh_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tasks.dataset.build import refresh_examples
from tasks.dataset.spec.clock import exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.ingest.headlines.edgar import fetch_filings, replay_filings
from tasks.ingest.headlines.feeds import EdgarSpec, FeedSpec, feed_presets
from tasks.ingest.headlines.filings import (
    event_title,
    exhibit_line,
    header_acceptance,
    item_names,
    read_submissions,
)
from tasks.ingest.headlines.parsing import FeedParseError
from tasks.ingest.http.client import feed_client
from tasks.ingest.http.retry import FeedLimits, Pace, RetryPolicy
from tasks.ingest.prices.fetch import PriceSpec, fetch_prices
from tasks.ingest.prices.yahoo_transport import yahoo_session
from tasks.ingest.spec import UniverseSpec
from warehouse.lake import Lake
from warehouse.storage.landing import Landing, landed_answers
from warehouse.tables.batches import HeadlineBatch
from warehouse.tables.headlines import HeadlinePublication, publish_headlines
from warehouse.tables.prices import publish_prices

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2013, 3, 1, 22, tzinfo=UTC)
YEAR = (date(2012, 3, 1), date(2013, 2, 28))
SEARCH = feed_presets()["edgar"]
POLL = feed_presets()["edgar-current"]
QUICK = FeedLimits(retry=RetryPolicy(attempts=2, first_wait=0.01))
EIGHT_KS = {"AAPL": 107, "MSFT": 68, "TSLA": 243, "WOLF": 206, "TWO": 221, "FNMA": 32}
UNAVAILABLE = Fault(kind="unavailable", path="/submissions/CIK0000320193")


def spec(**changes: Any) -> FeedSpec:
    assert SEARCH.edgar is not None
    return SEARCH.model_copy(update={"edgar": SEARCH.edgar.model_copy(update=changes)})


class Edgar:
    """A sandbox vendor per set of faults, asked as a flow asks."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.landing = Landing(folder / "landing")
        self.stack = stack
        self.market: Market = bokeh_market()
        self.vendor: SandboxVendor | None = None

    def ask(
        self,
        feed: FeedSpec,
        *faults: Fault,
        tickers: tuple[str, ...] = ("AAPL",),
        days: tuple[date, date] = YEAR,
        now: datetime = NOW,
        recorded: Path | None = None,
    ) -> HeadlineBatch:
        plan = FaultPlan.of(*faults)
        self.vendor = self.stack.enter_context(
            SandboxVendor(self.market, NewsSpec(), now=lambda: now, faults=plan, recorded=recorded)
        )
        with feed_client(self.vendor.base_url, QUICK, sleep=lambda _: None) as client:
            return fetch_filings(
                feed, tickers, *days, client=client, clock=lambda: now, land=self.landing.store,
                universe=("AAPL", "MSFT"),
            )  # fmt: skip

    def paths(self) -> list[str]:
        assert self.vendor is not None
        return [served.request.path for served in self.vendor.requests]


@pytest.fixture
def edgar(tmp_path: Path) -> Iterator[Edgar]:
    with ExitStack() as stack:
        yield Edgar(tmp_path, stack)


@pytest.fixture(scope="module")
def recordings(shared_data: Path) -> Path:
    if not (shared_data / "recorded" / "sec_edgar").is_dir():
        pytest.skip(f"no recorded answers of EDGAR in {shared_data}")
    return shared_data / "recorded"


@pytest.fixture(scope="module")
def recorded(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> HeadlineBatch:
    """All 8-Ks of the recorded answers; no header of theirs is recorded."""
    with ExitStack() as stack:
        edgar = Edgar(tmp_path_factory.mktemp("recorded"), stack)
        return edgar.ask(
            spec(forms=("8-K",), headers="never"),
            tickers=tuple(EIGHT_KS),
            days=(date(2010, 1, 1), date(2026, 3, 31)),
            now=datetime(2026, 4, 1, tzinfo=UTC),
            recorded=recordings,
        )


def accepted(batch: HeadlineBatch) -> dict[str, datetime]:
    """Accession numbers and acceptance instants."""
    guids = (guid.rpartition(":")[2] for guid in batch.headlines["guid"].to_pylist())
    return dict(zip(guids, batch.headlines["published_at"].to_pylist(), strict=True))


def outcome(batch: HeadlineBatch, key: str = "AAPL") -> dict[str, Any]:
    return next(row for row in batch.partitions.to_pylist() if row["key"] == key)


@pytest.mark.shared_data
def test_every_recorded_8k_is_one_event_and_what_is_not_recorded_is_known_to_be_missing(
    recorded: HeadlineBatch,
) -> None:
    about = recorded.headline_tickers["ticker"].to_pylist()
    assert {ticker: about.count(ticker) for ticker in EIGHT_KS} == EIGHT_KS
    assert recorded.headlines.num_rows == sum(EIGHT_KS.values())
    assert recorded.rejects.num_rows == 0
    states = {row["key"]: row["state"] for row in recorded.partitions.to_pylist()}
    # Tesla's older file is recorded, the others' are not.
    assert states == dict.fromkeys(EIGHT_KS, "partial") | {"TSLA": "done"}
    assert "CIK0000789019-submissions-001.json" in outcome(recorded, "MSFT")["error"]
    titles = dict(zip(accepted(recorded), recorded.headlines["title"].to_pylist(), strict=True))
    assert titles["0001564590-18-001521"] == (
        "Tesla, Inc. 8-K: Results of Operations and Financial Condition; Financial Statements and "
        "Exhibits"
    )
    motors = [title for title in titles.values() if title.startswith("TESLA MOTORS INC 8-K")]
    assert len(motors) > 50, "a filing bears the name of its day"


@pytest.mark.shared_data
@pytest.mark.parametrize("ticker", ["AAPL", "FNMA", "MSFT", "TSLA"])
def test_recorded_filings_are_on_the_right_side_of_open_and_close(
    recorded: HeadlineBatch, recordings: Path, ticker: str
) -> None:
    cik = {"AAPL": 320193, "FNMA": 310522, "MSFT": 789019, "TSLA": 1318605}[ticker]
    found = accepted(recorded)
    sides = _sides()
    compared = 0
    for path in sorted((recordings / "sec_edgar" / "submissions").glob(f"CIK{cik:010d}*.json")):
        answer = json.loads(path.read_bytes())
        filings = answer["filings"]["recent"] if "filings" in answer else answer
        stamps = [datetime.fromisoformat(text[:19]) for text in filings["acceptanceDateTime"]]
        # The reading that has EDGAR work at night is the wrong one, for the file as a whole.
        at_night = {
            zone: sum(map(_at_night, (stamp.replace(tzinfo=zone) for stamp in stamps)))
            for zone in (UTC, NEW_YORK)
        }
        assert max(at_night.values()) > 25 * min(at_night.values())
        zone = min(at_night, key=lambda one: at_night[one])
        # Where EDGAR writes former names with midnight, it is midnight on the same clock.
        for former in answer.get("formerNames", ()):
            midnight = datetime.fromisoformat(former["from"][:19]).replace(tzinfo=zone)
            assert midnight.astimezone(NEW_YORK).time() == time(0)
        for number, form in enumerate(filings["form"]):
            if form not in ("8-K", "8-K/A"):
                continue
            at = found[filings["accessionNumber"][number]]
            assert sides(at) == sides(stamps[number].replace(tzinfo=zone).astimezone(UTC))
            if ticker != "TSLA" and "2.02" in filings["items"][number]:
                # Tesla tells deliveries during the session; the others no results.
                assert sides(at) % 2 == 0, "results are not published while the exchange is open"
            compared += 1
    assert compared == EIGHT_KS[ticker]


def _at_night(moment: datetime) -> bool:
    local = moment.astimezone(NEW_YORK)
    return local.weekday() > 4 or not time(6) <= local.time() <= time(22, 1)


def _sides() -> Callable[[datetime], int]:
    """Numbers the spans between openings and closings; while the exchange is open they are odd."""
    sessions = exchange_sessions("XNYS", date(2010, 1, 4), date(2026, 3, 31)).to_pylist()
    bounds = [row[name] for row in sessions for name in ("open_ts", "close_ts")]
    return lambda moment: bisect(bounds, moment)


@pytest.mark.shared_data
def test_recorded_headers_documents_and_latest_filings_are_read(
    recordings: Path, edgar: Edgar
) -> None:
    folder = recordings / "sec_edgar"
    header = (folder / "headers" / "23AndMe.index-headers.html").read_bytes()
    assert str(header_acceptance(header)) == "2024-06-03 08:06:02"
    several = (folder / "headers" / "MultipleFilersHeader.txt").read_bytes()
    assert str(header_acceptance(several)) == "2023-06-09 14:56:16"
    buckle = (folder / "filings" / "BuckleInc.8-K.html").read_bytes()
    assert exhibit_line(buckle) == "Exhibit 99.1: Press Release Dated November 22, 2024"
    # Who files and EDGAR itself name items as the shipped table does.
    texts = {path.name: path.read_bytes().decode() for path in (folder / "filings").iterdir()}
    texts |= {path.name: path.read_bytes().decode() for path in (folder / "current").iterdir()}
    for item, name in (
        ("2.02", "BuckleInc.8-K.html"), ("5.07", "1800Flowers.8-K.html"),
        ("5.07", "Oracle.8-K.html"), ("8.01", "0000887919-21-000012.html"),
        ("7.01", "getcurrent-all.atom"), ("9.01", "getcurrent-all.atom"),
    ):  # fmt: skip
        assert item_names()[item] in texts[name]
    moment = datetime(2026, 1, 12, 17, tzinfo=UTC)
    batch = edgar.ask(
        POLL, tickers=("*",), days=(moment.date(),) * 2, now=moment, recorded=recordings
    )
    (event,) = batch.headlines.to_pylist()
    assert event["title"] == (
        "Biohaven Ltd. 8-K: Regulation FD Disclosure; Financial Statements and Exhibits"
    )
    assert event["published_at"] == datetime(2026, 1, 12, 16, 19, 8, tzinfo=UTC)
    assert (event["availability"], event["available_at"]) == ("observed", moment)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_answer_by_one_clock_tells_which(edgar: Edgar, share: float) -> None:
    days = (date(2010, 9, 1), date(2013, 2, 28))
    truth = accepted(edgar.ask(spec(headers="all"), days=days))
    batch = edgar.ask(spec(headers="never"), Fault(kind="false_z", value=share), days=days)
    assert "/submissions/CIK0000320193-submissions-001.json" in edgar.paths()
    assert accepted(batch) == truth
    assert len(truth) > 300
    assert batch.headlines["summary"].null_count == len(truth), "none is marked"


def test_a_mixed_answer_is_read_by_headers_or_late_and_never_early(
    edgar: Edgar, lake: Lake
) -> None:
    truth = accepted(edgar.ask(spec(headers="all")))
    mixed = Fault(kind="false_z", value=0.5)
    without = edgar.ask(SEARCH, mixed, Fault(kind="not_found", path="/Archives"))
    found = accepted(without)
    assert found.keys() == truth.keys()
    late = {one for one in found if found[one] != truth[one]}
    assert late
    assert all(found[one] > truth[one] for one in late)
    marked = pc.match_substring(without.headlines["summary"], "later of two readings")
    assert len(late) < pc.sum(marked).as_py() < len(found), "others are sure by themselves"
    publish_headlines(lake, without, now=NOW)
    batch = edgar.ask(SEARCH, mixed)
    assert accepted(batch) == truth
    assert 0 < sum("-index-headers" in path for path in edgar.paths()) < len(truth)
    assert publish_headlines(lake, batch, now=NOW).added == 0
    stored = lake.sql("SELECT guid, published_at, available_at FROM headlines").to_pylist()
    assert {row["guid"].rpartition(":")[2]: row["published_at"] for row in stored} == truth
    corrected = lake.sql(
        "SELECT count(*) FROM headline_revisions r JOIN headlines h USING (headline_id) "
        "WHERE r.available_at < h.available_at"
    )
    assert corrected[0][0].as_py() == 0


def test_filing_whose_header_is_unavailable_waits_for_it(edgar: Edgar) -> None:
    mixed = Fault(kind="false_z", value=0.5)
    batch = edgar.ask(SEARCH, mixed, Fault(kind="unavailable", path="/Archives"))
    row = outcome(batch)
    assert row["state"] == "partial"
    assert "answered HTTP 503" in row["error"]
    assert 0 < row["rows"] == batch.headlines.num_rows < row["received"]
    truth = accepted(edgar.ask(spec(headers="all")))
    assert accepted(batch).items() <= truth.items()


def test_filings_of_one_title_are_as_many_stories_and_a_poll_knows_them_again(
    edgar: Edgar, lake: Lake
) -> None:
    search = edgar.ask(SEARCH, tickers=("AAPL", "MSFT"))
    done = publish_headlines(lake, search, now=NOW)
    assert done.added == search.headlines.num_rows > 200
    titles = search.headlines["title"]
    assert len(set(titles.to_pylist())) < len(titles) / 4
    assert any("8-K/A, amendment: " in title for title in titles.to_pylist())
    assert "Apple (synthetic) 10-Q: quarterly report for the period ended" in "".join(
        titles.to_pylist()
    )
    assert all(search.headlines["synthetic"].to_pylist())
    poll = edgar.ask(POLL, tickers=("*",), days=(NOW.date(), NOW.date()))
    known = set(search.headlines["headline_id"].to_pylist())
    shared = known & set(poll.headlines["headline_id"].to_pylist())
    assert len(shared) > 20
    again = publish_headlines(lake, poll, now=NOW)
    assert again.revised == 0
    assert again.added == poll.headlines.num_rows - len(shared)
    stories = lake.sql("SELECT count(DISTINCT story_id), count(*) FROM headlines")
    assert stories[0][0] == stories[1][0]


def test_evening_filing_is_out_when_edgar_opens_on_its_filing_date(edgar: Edgar) -> None:
    held = 0
    for row in edgar.ask(SEARCH).headlines.to_pylist():
        at = row["published_at"].astimezone(NEW_YORK)
        wait = row["available_at"] - row["published_at"]
        if at.time() <= time(17, 30):
            assert wait == timedelta(minutes=15)
        else:
            opened = row["available_at"].astimezone(NEW_YORK)
            assert opened.time() == time(6, 15)
            assert opened.date() > at.date()
            held += 1
    assert held > 10


def test_company_that_cannot_be_had_fails_alone(edgar: Edgar) -> None:
    batch = edgar.ask(SEARCH, UNAVAILABLE, tickers=("AAPL", "MSFT", "NOSUCH"))
    states = {row["key"]: row["state"] for row in batch.partitions.to_pylist()}
    assert states == {"AAPL": "failed", "MSFT": "done", "NOSUCH": "failed"}
    assert "answered HTTP 503; expected 200. It was tried 2 times" in outcome(batch)["error"]
    assert "give it as edgar.ciks of edgar" in outcome(batch, "NOSUCH")["error"]
    page = edgar.ask(SEARCH, Fault(kind="html_page", path="/submissions"))
    assert outcome(page)["state"] == "failed"
    assert [row["kind"] for row in page.rejects.to_pylist()] == ["payload"]
    columns = {
        "accessionNumber": ["x"], "filingDate": ["x"], "acceptanceDateTime": ["x"], "items": ["x"],
        "reportDate": ["x"], "primaryDocument": ["x"], "primaryDocDescription": ["x"],
        "form": ["8-K", "8-K"],
    }  # fmt: skip
    with pytest.raises(FeedParseError, match=r"have 1 to 2 rows; expected as many in each"):
        read_submissions(json.dumps(columns).encode(), 1)


def test_former_symbol_is_asked_under_its_company_until_its_last_day(edgar: Edgar) -> None:
    batch = edgar.ask(SEARCH, tickers=("FB",), days=(date(2010, 1, 1), date(2013, 2, 28)))
    assert edgar.paths()[0] == "/submissions/CIK0001326801.json"
    first = min(batch.headlines["published_at"].to_pylist())
    assert first.date() >= date(2012, 5, 17), "nothing before it was listed"
    assert set(batch.headline_tickers["ticker"].to_pylist()) == {"FB"}


def test_landed_answers_replay_to_what_was_published(edgar: Edgar, lake: Lake) -> None:
    days = (date(2012, 6, 1), date(2012, 12, 31))
    feed = spec(documents=True)
    batch = edgar.ask(feed, Fault(kind="false_z", value=0.5), days=days)
    assert "Exhibit 99.1: " in str(batch.headlines["summary"].to_pylist())
    publish_headlines(lake, batch, now=NOW)
    before = lake.snapshot_id()
    again = list(
        replay_filings(
            feed, lambda: landed_answers(lake, edgar.landing, feed.name), {"AAPL": [days]}
        )
    )
    assert sum(one.headlines.num_rows for one in again) == batch.headlines.num_rows
    for one in again:
        assert publish_headlines(lake, one, now=NOW) == HeadlinePublication(0, 0, 0, 0, 0)
    assert lake.snapshot_id() == before


def test_items_without_a_name_keep_their_number() -> None:
    assert event_title("APPLE COMPUTER INC", "8-K", ["5", "7"]) == (
        "APPLE COMPUTER INC 8-K: Item 5; Item 7"
    )
    assert event_title("Spotify", "6-K", []) == "Spotify 6-K: report of foreign issuer"


def test_nobody_asks_the_sec_without_saying_who_he_is(tmp_path: Path) -> None:
    config = tmp_path / "newsvane.toml"
    config.write_text('feeds = ["edgar"]\n')
    with pytest.raises(ConfigurationError, match=r"http\.feeds\.user_agent needs a contact"):
        load_settings(config)
    load_settings(config, overrides=["http.feeds.user_agent=Research desk@fund.example"])
    with pytest.raises(ValueError, match=r"EDGAR is searched by ticker or polled in general"):
        FeedSpec(name="x", url="https://data.sec.gov/{cik}.json", edgar=EdgarSpec())


def test_requests_to_a_host_keep_the_pace_it_asks_for() -> None:
    moment, slept = [100.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        moment[0] += seconds

    pace = Pace({"sec.gov": 10}, sleep, lambda: moment[0])
    for host in ("data.sec.gov", "www.sec.gov", "sec.gov", "notsec.gov", "data.sec.gov"):
        pace.wait(host)
    assert slept == pytest.approx([0.1, 0.1, 0.1])
    moment[0] += 5
    pace.wait("sec.gov")
    assert len(slept) == 3, "what was not used is not saved up"


@pytest.mark.shared_data
def test_real_filings_on_real_bars_are_the_examples_that_plain_code_makes(
    recorded: HeadlineBatch, recordings: Path, lake: Lake, tmp_path: Path
) -> None:
    days = (date(2010, 6, 29), date(2023, 8, 11))
    now = datetime(2026, 3, 31, 12, tzinfo=UTC)
    with (
        SandboxVendor(bokeh_market(), NewsSpec(), now=lambda: now, recorded=recordings) as vendor,
        yahoo_session(vendor.base_url, clock=lambda: now) as session,
    ):
        bars = fetch_prices(
            ("TSLA",), *days, PriceSpec(cache=tmp_path / "yfinance", overlap_sessions=0),
            session=session, clock=lambda: now, land=Landing(tmp_path / "landing").store,
            calendar=exchange_sessions("XNYS", *days),
        )  # fmt: skip
    record_sessions(lake, UniverseSpec(tickers=("TSLA",)), ("TSLA",), days, now)
    assert publish_prices(lake, bars, now=now).bars_added == 3303
    publish_headlines(lake, recorded, now=now)
    refresh_examples(lake, DatasetSpec(), now=now)
    query = "SELECT session, label FROM examples WHERE ticker = 'TSLA' AND label IS NOT NULL"
    found = {row["session"]: row["label"] for row in lake.sql(query).to_pylist()}
    moves = _moves(recordings / "yahoo_chart_payloads" / "TSLA.rt-dividends-TSLA-no-dividends.json")
    expected = set()
    for path in sorted((recordings / "sec_edgar" / "submissions").glob("CIK0001318605*.json")):
        answer = json.loads(path.read_bytes())
        filings = answer["filings"]["recent"] if "filings" in answer else answer
        for number, form in enumerate(filings["form"]):
            if form in ("8-K", "8-K/A") and filings["filingDate"][number] <= str(days[1]):
                at = datetime.fromisoformat(filings["acceptanceDateTime"][number][:19])
                opened = datetime.fromisoformat(f"{filings['filingDate'][number]}T06:00:00")
                known = max(at.replace(tzinfo=UTC), opened.replace(tzinfo=NEW_YORK))
                decided = [
                    day for day in moves
                    if datetime.combine(day, time(9, 25), NEW_YORK) > known + timedelta(minutes=15)
                ]  # fmt: skip
                expected |= {min(decided)} if decided else set()
    labelled = {day for day in expected if moves[day]}
    assert found == {day: "up" if moves[day] > 0 else "down" for day in labelled}
    assert len(found) == 207


def _moves(chart: Path) -> dict[date, float]:
    """Close less open by session, straight from the recorded chart."""
    result = json.loads(chart.read_bytes())["chart"]["result"][0]
    quote = result["indicators"]["quote"][0]
    days = [datetime.fromtimestamp(stamp, NEW_YORK).date() for stamp in result["timestamp"]]
    return {
        day: last - first
        for day, first, last in zip(days, quote["open"], quote["close"], strict=True)
    }
