"""Answers of a JSON API described by a table: what counts as news, as an error, as nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.settings import ConfigurationError, load_settings
from tasks.ingest.headlines.api_answers import parse_answer
from tasks.ingest.headlines.api_spec import ApiSpec
from tasks.ingest.headlines.feeds import FeedSpec, feed_presets
from tasks.ingest.headlines.fetch import fetch_headlines
from tasks.ingest.headlines.identity import ALIASES
from tasks.ingest.headlines.parsing import FeedParseError
from tasks.ingest.http import redaction
from tasks.ingest.http.client import feed_client
from tasks.ingest.http.retry import FeedLimits, RetryPolicy
from tests.builders.servers import answering
from warehouse.lake import Lake
from warehouse.storage.landing import Payload
from warehouse.tables.batches import HeadlineBatch
from warehouse.tables.headlines import publish_headlines

NOW = datetime(2024, 6, 9, 12, tzinfo=UTC)
DAY = date(2024, 6, 3)
SECRET = "hunter2-hunter2"
LIMITS = FeedLimits(
    retry=RetryPolicy(attempts=2, first_wait=0.01), private_hosts=("127.0.0.1", "localhost")
)
FIELDS = {
    "title": "title", "published": "at", "updated": "changed", "summary": "text.short",
    "link": "url", "id": "id", "tickers": "about", "publisher": "by.name",
}  # fmt: skip
ITEM: dict[str, Any] = {
    "id": 1, "title": "Harlow rises", "at": "2024-06-03T12:00:00Z", "url": "https://w.example/1",
}  # fmt: skip
KNOWN = pa.Table.from_pylist(
    [
        {"ticker": ticker, "exchange": "XNYS", "alias": alias, "kind": kind,
         "valid_from": date(1990, 1, 1)}
        for ticker, alias, kind in (
            ("HRLW", "Harlow", "name"), ("BRK-B", "BRK.B", "symbol"), ("HRLW", "HRLW", "symbol")
        )
    ],
    schema=ALIASES,
)  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process: no secret was sent yet."""
    monkeypatch.setattr(redaction, "_known", frozenset())


def spec(**fields: Any) -> ApiSpec:
    return ApiSpec.model_validate({"items": "news", "fields": FIELDS, **fields})


def answer(*items: Any, **beside: Any) -> bytes:
    return json.dumps({"news": items, **beside}).encode()


def feed(address: str, scope: str = "ticker", api: Mapping[str, Any] | None = None, **other: Any):  # type: ignore[no-untyped-def]
    ticker = "&s={ticker}" if scope == "ticker" else ""
    return FeedSpec.model_validate({
        "name": "mine", "url": f"{address}/news?from={{start}}&to={{last}}{ticker}",
        "mode": "search", "scope": scope, "chunk": "month",
        "api": {"items": "news", "fields": FIELDS, **(api or {})}, **other,
    })  # fmt: skip


def fetched(one: FeedSpec, *keys: str, landed: list[Payload] | None = None) -> HeadlineBatch:
    def land(payload: Payload) -> str:
        if landed is not None:
            landed.append(payload)
        return payload.payload_id

    with feed_client(None, LIMITS, sleep=lambda _: None) as client:
        return fetch_headlines(
            one, keys or ("HRLW",), DAY, DAY,
            client=client, clock=lambda: NOW, land=land, aliases=KNOWN,
        )  # fmt: skip


def served(
    *pages: bytes, scope: str = "ticker", api: Mapping[str, Any] | None = None, **other: Any
) -> tuple[HeadlineBatch, list[str], list[Payload]]:
    """The batch of these pages in turn, the addresses asked for, and what was landed."""
    asked: list[str] = []
    landed: list[Payload] = []

    def reply(path: str) -> bytes:
        asked.append(path)
        return pages[min(len(asked), len(pages)) - 1].replace(b"HOST", home.encode())

    with answering(reply) as home:
        batch = fetched(
            feed(home, scope, api, **other), *(["*"] if scope == "general" else []), landed=landed
        )
    return batch, asked, landed


def pairs(batch: HeadlineBatch) -> set[tuple[str, str]]:
    rows = batch.headline_tickers.to_pylist()
    return {(row["ticker"], row["method"]) for row in rows}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("title", ["a"], "title is a list, expected a text"),
        ("title", True, "title is true or false, expected a text"),
        ("title", "", "no title"),
        ("title", "half \ud800 character", "title with a damaged character"),
        ("title", "x" * 1001, "title longer than 1000 characters"),
        ("at", None, "undated"),
        ("at", "", "undated"),
        ("at", False, "published is true or false, expected a time"),
        ("at", "2024-06-03T12:00:00", "date without a time zone"),
        ("at", "2024-06-03T12:00:00 QST", "date with an unknown time zone"),
        ("at", "2024-02-30T12:00:00Z", "date impossible"),
        ("at", "soon", "date not understood"),
        ("at", 1e400, "date impossible"),
        ("at", 17.5, "date not understood"),
        ("changed", "soon", "updated: date not understood"),
        ("changed", "9999-12-31", "updated: date impossible"),
        ("id", {"a": 1}, "id is an object, expected a text or a number"),
        ("url", 7, "link is a number, expected a text"),
        ("text", {"short": 7}, "summary is a number, expected a text"),
        ("about", 7, "tickers are a number, expected a list"),
        ("about", [7], "tickers hold a number, expected symbols"),
    ],
)
def test_field_of_the_wrong_kind_costs_its_item_alone(field: str, value: Any, reason: str) -> None:
    parsed = parse_answer(answer(ITEM | {field: value}, ITEM), spec())
    assert [one.reason for one in parsed.refused] == [reason]
    assert [one.title for one in parsed.items] == ["Harlow rises"]


@pytest.mark.parametrize(
    "odd",
    [{"text": None}, {"text": "flat"}, {"text": {"short": None}}, {"by": None}, {"about": None},
     {"about": []}, {"about": [None, ""]}, {"changed": None}, {"changed": 0}],
)  # fmt: skip
def test_null_on_the_way_to_a_field_is_a_field_that_is_absent(odd: dict[str, Any]) -> None:
    (item,) = parse_answer(answer(ITEM | odd), spec()).items
    assert (item.summary, item.tickers, item.updated_at) == (None, (), None)


@pytest.mark.parametrize(
    ("times", "value", "reads"),
    [
        ("epoch", 1717416000, True), ("epoch", "1717416000", True), ("epoch", 1717416000.9, True),
        ("epoch", 1717416000000, False), ("epoch", 0, False), ("epoch", "2024-06-03", False),
        ("epoch", float("inf"), False), ("epoch", "9" * 400, False),
        ("epoch_ms", 1717416000123, True), ("epoch_ms", 1717416000, False),
        ("compact", "20240603T120000Z", True), ("compact", "20240603120000Z", True),
        ("compact", "2024-06-03T12:00:00Z", False), ("compact", 1717416000, False),
        ("rfc2822", "Mon, 03 Jun 2024 08:00:00 -0400", True), ("rfc2822", "20240603T12", False),
        ("iso", "2024-06-03T12:00:00Z", True), ("iso", "2024-06-03T14:00:00+02:00", True),
        ("iso", 1717416000, False), ("iso", "Mon, 03 Jun 2024 12:00:00 GMT", False),
        ("detect", 1717416000, True), ("detect", 1717416000123, True),
        ("detect", "Mon, 03 Jun 2024 12:00:00 GMT", True), ("detect", "20240603T120000Z", True),
    ],
)  # fmt: skip
def test_time_counts_only_as_it_is_declared(times: str, value: Any, reads: bool) -> None:
    parsed = parse_answer(answer(ITEM | {"at": value}), spec(times=times))
    found = [one.published_at for one in parsed.items]
    assert found == ([datetime(2024, 6, 3, 12, tzinfo=UTC)] if reads else [])
    assert len(parsed.refused) == (not reads)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "Invalid API key"}', b'{"status": "error", "code": "x", "news": []}',
        b'{"news": [], "message": "You are over your quota"}', b'{"success": false, "news": []}',
        b'{"errors": [{"message": "no"}], "news": []}', b'{"Information": "our limit", "news": []}',
        b'{"data": []}', b"{}", b"[]", b"null", b'"busy"', b"7", b"", b"  ", b"Too Many Requests",
        b"<html><body>Back soon</body></html>", b'{"news": {"a": 1}}', b'{"news": "none"}',
        b'{"news": ', b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe\x00",
    ],
)  # fmt: skip
def test_answer_that_is_no_list_of_news_is_an_error(body: bytes) -> None:
    with pytest.raises(FeedParseError) as refused:
        parse_answer(body, spec())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "body", [b'{"news": null}', b'{"news": [], "error": null, "message": "OK"}', b'{"news": []}']
)
def test_empty_list_is_no_news(body: bytes) -> None:
    assert parse_answer(body, spec()).items == ()


def test_empty_object_is_no_news_only_where_it_is_said_to_be() -> None:
    assert parse_answer(b"{}", spec(empty_object=True)).items == ()
    with pytest.raises(FeedParseError, match="no list"):
        parse_answer(b'{"hint": "later"}', spec(empty_object=True))


WHOLE = answer(*(ITEM | {"id": number} for number in range(8)))


@settings(max_examples=80, database=None, deadline=None)
@given(at=st.integers(len('{"news": ['), len(WHOLE) - 1))
def test_wherever_an_answer_is_cut_a_prefix_of_its_items_is_kept(at: int) -> None:
    whole = parse_answer(WHOLE, spec())
    if WHOLE[:at].count(b"}") == 0:
        with pytest.raises(FeedParseError):
            parse_answer(WHOLE[:at], spec())
        return
    cut = parse_answer(WHOLE[:at], spec())
    assert cut.items == whole.items[: len(cut.items)]
    assert len(cut.items) == WHOLE[:at].count(b"}")
    assert cut.cut is (b"]" not in WHOLE[:at])


@pytest.mark.parametrize("stray", [b"\x07", b"\\'", b"\\x", b"\x00\x1f"])
def test_stray_signs_are_passed_over_where_that_is_allowed(stray: bytes) -> None:
    body = answer(ITEM, ITEM | {"id": 2}).replace(b"Harlow", b"Har" + stray + b"low", 1)
    kept = parse_answer(body, spec(lenient=True))
    assert [len(kept.items), len(kept.refused)] == [2, 0]
    strict = parse_answer(body, spec())
    assert [one.reason for one in strict.refused] == ["item is no JSON"]
    assert len(strict.items) == 1


def test_news_of_limits_is_news_however_damaged_its_answer_is() -> None:
    item = ITEM | {"title": "Harlow to slow down: rate limit, too many requests, API limit"}
    for body in (answer(item), answer(item, {"x": 1}).replace(b'"x"', b'"x\x07"')):
        batch, asked, _ = served(body)
        assert (len(asked), batch.headlines.num_rows) == (1, 1)


def test_updated_words_count_from_when_they_were_updated(lake: Lake) -> None:
    later = ITEM | {"id": 2, "title": "Harlow falls", "changed": "2024-06-04T09:00:00Z"}
    earlier = ITEM | {"id": 3, "title": "Harlow rests", "changed": "2024-06-02T09:00:00Z"}
    by_day = ITEM | {"id": 4, "title": "Harlow waits", "changed": "2024-06-05"}
    batch, _, _ = served(answer(ITEM, later, earlier, by_day))
    publish_headlines(lake, batch, now=NOW)
    rows = lake.sql("SELECT title, published_at, available_at FROM headlines").to_pylist()
    at = {row["title"]: row["available_at"].astimezone(UTC) for row in rows}
    lag = timedelta(minutes=15)
    assert {row["published_at"].astimezone(UTC) for row in rows} == {
        datetime(2024, 6, 3, 12, tzinfo=UTC)
    }
    assert at["Harlow rises"] == at["Harlow rests"] == datetime(2024, 6, 3, 12, tzinfo=UTC) + lag
    assert at["Harlow falls"] == datetime(2024, 6, 4, 9, tzinfo=UTC) + lag
    assert at["Harlow waits"] == datetime(2024, 6, 6, 12, tzinfo=UTC) + lag


@pytest.mark.parametrize(
    ("about", "found"),
    [
        ("HRLW,XYZ", {("HRLW", "declared"), ("XYZ", "declared")}),
        (["HRLW", "BRK.B"], {("HRLW", "declared"), ("BRK-B", "declared")}),
        ([{"name": "ABC"}, {"symbol": "XYZ"}], {("ABC", "declared"), ("XYZ", "declared")}),
        (["not a symbol", "$X"], {("HRLW", "feed")}),
        ([], {("HRLW", "feed")}),
    ],
)
def test_whom_a_vendor_lists_counts_and_nobody_is_lost(
    about: Any, found: set[tuple[str, str]]
) -> None:
    batch, _, _ = served(answer(ITEM | {"about": about}))
    assert pairs(batch) == found


def test_item_that_lists_nobody_is_about_whom_its_title_names() -> None:
    items = [ITEM | {"about": []}, ITEM | {"id": 2, "title": "Rain falls", "about": ["XYZ"]},
             ITEM | {"id": 3, "title": "Snow falls"}]  # fmt: skip
    batch, _, _ = served(answer(*items), scope="general")
    assert pairs(batch) == {("HRLW", "alias"), ("XYZ", "declared")}
    assert batch.headlines.num_rows == 3


def test_item_updated_in_the_future_is_no_item() -> None:
    batch, _, _ = served(answer(ITEM | {"changed": "2030-01-01T00:00:00Z"}, ITEM | {"id": 2}))
    assert batch.rejects["reason"].to_pylist() == ["updated in the future"]
    assert batch.headlines.num_rows == 1


def test_ticker_goes_by_the_name_its_vendor_has_for_it() -> None:
    batch, asked, _ = served(answer(ITEM | {"about": ["HAR.A"]}), symbols={"HRLW": "HAR.A"})
    assert "s=HAR.A" in asked[0]
    assert pairs(batch) == {("HRLW", "declared")}


def test_publisher_at_the_end_of_a_title_is_no_part_of_it() -> None:
    item = ITEM | {"title": "Harlow rises - The Wire", "by": {"name": "The Wire"}}
    assert parse_answer(answer(item), spec()).items[0].title == "Harlow rises"


def test_next_address_is_the_vendors_word_and_looks_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTHER_SECRET", SECRET)
    led = "/p${OTHER_SECRET}?a=${OTHER_SECRET}&key=***"
    paging = {"paging": {"kind": "next_url", "next": "more"}}
    for more in (led, f"HOST{led}"):
        batch, asked, _ = served(answer(ITEM, more=more), answer(ITEM | {"id": 2}), api=paging)
        assert asked[1] == "/p%24%7BOTHER_SECRET%7D?a=%24%7BOTHER_SECRET%7D"
        assert SECRET not in str(asked)
        assert batch.partitions["state"].to_pylist() == ["done"]


@pytest.mark.parametrize(
    "more",
    ["https://127.0.0.1/next", "http://127.0.0.1:1/next", "//evil.example/next", "http://[::1",
     "file:///etc/passwd", ["a"], {"a": 1}, 1.5],
)  # fmt: skip
def test_next_page_that_cannot_be_asked_for_leaves_the_range_incomplete(more: Any) -> None:
    paging = {"paging": {"kind": "next_url", "next": "more"}}
    batch, asked, _ = served(answer(ITEM, more=more), api=paging)
    assert len(asked) == 1
    assert batch.partitions["state"].to_pylist() == ["partial"]
    assert batch.headlines.num_rows == 1


def test_token_of_a_page_is_no_secret_whatever_it_is_called() -> None:
    paging = {"paging": {"kind": "cursor", "next": "next_token", "parameter": "next_token"}}
    pages = [answer(ITEM | {"id": number}, next_token="same-token-again") for number in range(3)]
    batch, asked, landed = served(*pages, api=paging)
    assert len(asked) == 2, "the same token again is the end"
    assert b"same-token-again" in landed[1].body
    [row] = batch.partitions.to_pylist()
    assert (row["state"], row["received"]) == ("partial", 2)


def test_pages_by_offset_go_on_by_what_came() -> None:
    paging = {"paging": {"kind": "offset", "parameter": "skip", "size": 2}}
    pages = [answer(*(ITEM | {"id": n, "title": f"Harlow {n}"} for n in some))
             for some in ((1, 2), (3, 4), (5,))]  # fmt: skip
    batch, asked, landed = served(*pages, api=paging)
    assert [path.partition("&skip=")[2] for path in asked] == ["", "2", "4"]
    assert [payload.url.partition("#")[2] for payload in landed] == ["", "page=2", "page=3"]
    [row] = batch.partitions.to_pylist()
    assert (row["state"], row["rows"], batch.headlines.num_rows) == ("done", 5, 5)


def test_key_in_a_header_does_not_follow_a_redirect_to_another_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEWS_KEY", SECRET)
    seen: list[tuple[str, str | None]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("X-Api-Key")))
            if self.path.startswith("/news"):
                here = self.path.replace("/news", "/same")
                self.send_response(302)
                self.send_header("Location", here)
                self.end_headers()
                return
            if self.path.startswith("/same"):
                self.send_response(302)
                port = self.server.server_address[1]
                self.send_header("Location", f"http://localhost:{port}/other")
                self.end_headers()
                return
            body = answer(ITEM)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        keyed = feed(f"http://127.0.0.1:{server.server_port}",
                     api={"headers": {"X-Api-Key": "${NEWS_KEY}"}})  # fmt: skip
        batch = fetched(keyed)
        server.shutdown()
    assert [key for _, key in seen] == [SECRET, SECRET, None]
    assert batch.headlines.num_rows == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", " "])
def test_line_end_of_a_secret_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setenv("NEWS_KEY", SECRET + end)
    batch, _, landed = served(
        SECRET.encode(), answer(ITEM), api={"headers": {"X-Api-Key": "${NEWS_KEY}"}}
    )
    assert landed[0].body == b"***"
    assert batch.partitions["state"].to_pylist() == ["failed"]


@pytest.mark.parametrize("inside", ["\n", "\x7f", "€"])
def test_secret_that_no_header_can_hold_is_not_spelled_out(
    monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    monkeypatch.setenv("NEWS_KEY", f"{SECRET}{inside}{SECRET}")
    batch, asked, _ = served(answer(ITEM), api={"headers": {"X-Api-Key": "${NEWS_KEY}"}})
    [error] = batch.partitions["error"].to_pylist()
    assert asked == []
    assert "NEWS_KEY" in error
    assert SECRET not in error


@pytest.mark.parametrize(
    "echo", [b'{"error": "unknown key @@"}', b'{"news": [], "next": "https://x/?k=@@"}', b"@@"]
)
def test_key_that_a_vendor_repeats_is_landed_nowhere(
    monkeypatch: pytest.MonkeyPatch, echo: bytes
) -> None:
    monkeypatch.setenv("NEWS_KEY", SECRET)
    body = echo.replace(b"@@", SECRET.encode())
    api = {"headers": {"X-Api-Key": "${NEWS_KEY}"}}
    batch, _, landed = served(body, api=api)
    tables = [batch.headlines, batch.rejects, batch.partitions]
    text = "".join(str(table.to_pylist()) for table in tables) + repr(batch.payloads)
    assert SECRET not in text + landed[0].body.decode()
    assert b"***" in landed[0].body


def test_key_that_is_spelled_out_is_refused_and_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "newsvane.toml"
    header = f'{{ preset = "finnhub", api = {{ headers = {{ X-Finnhub-Token = "{SECRET}" }}'
    path.write_text(f'feeds = [{header}, fields = {{ title = "a", published = "b" }} }} }}]\n')
    with pytest.raises(ConfigurationError, match="expected a reference") as refused:
        load_settings(path)
    assert SECRET not in str(refused.value)


def test_part_of_a_presets_api_may_be_given_alone() -> None:
    shipped = feed_presets()["polygon"].api
    headers = {"Authorization": "Bearer ${MY_KEY}"}
    own = FeedSpec.model_validate({"preset": "polygon", "api": {"headers": headers}}).api
    assert shipped is not None
    assert own == shipped.model_copy(update={"headers": headers})


def test_file_of_ones_own_describes_a_feed_beside_the_configuration(tmp_path: Path) -> None:
    own = tmp_path / "vendor.toml"
    own.write_text(
        'name = "mine"\nurl = "https://v.example/news?s={ticker}&from={since}&to={until}"\n'
        'mode = "search"\n[api]\nitems = "data.news"\ninstants = "epoch"\n'
        '[api.fields]\ntitle = "t"\npublished = "at"\n'
    )
    path = tmp_path / "newsvane.toml"
    path.write_text('feeds = ["vendor.toml", { preset = "vendor.toml", name = "second" }]\n')
    first, second = load_settings(path).feeds
    assert (first.name, second.name) == ("mine", "second")
    assert first.api is not None
    assert first.api == second.api
    own.write_text('name = "mine"\nurl = \n')
    with pytest.raises(ConfigurationError, match=r"vendor\.toml could not be read"):
        load_settings(path)


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "https://x.example/?from={start}&s={ticker}"}, "one of"),
        ({"url": "https://x.example/?from={start}&to={last}"}, "placeholders"),
        ({"query": "words"}, "with a query"),
        ({"api": {"fields": FIELDS, "paging": {"kind": "cursor", "next": "n"}}}, "needs parameter"),
        ({"api": {"fields": FIELDS, "paging": {"kind": "page", "parameter": "to"}}}, "left out of"),
        ({"api": {"fields": {"title": "t"}}}, "published"),
        ({"api": {"fields": FIELDS, "colour": 1}}, "colour"),
        ({"edgar": {}}, "EDGAR"),
    ],
)  # fmt: skip
def test_description_that_does_not_fit_is_refused_in_words(
    changes: dict[str, Any], words: str
) -> None:
    good = {"name": "mine", "mode": "search", "api": {"fields": FIELDS},
            "url": "https://x.example/?from={start}&to={last}&s={ticker}"}  # fmt: skip
    assert FeedSpec.model_validate(good).api is not None
    with pytest.raises(ValidationError, match=words):
        FeedSpec.model_validate(good | changes)


def test_pace_of_a_preset_is_kept_unless_the_configuration_has_its_own() -> None:
    gdelt = feed_presets()["gdelt"]
    assert gdelt.rate is not None
    assert 1 / gdelt.rate > 5, "its own words are one every five seconds"
    wanted = {gdelt.host: gdelt.rate}
    assert FeedLimits().with_rates(wanted).rates == {"sec.gov": 10.0, **wanted}
    own = FeedLimits(rates={gdelt.host: 2.0})
    assert own.with_rates(wanted).rates == {gdelt.host: 2.0}
