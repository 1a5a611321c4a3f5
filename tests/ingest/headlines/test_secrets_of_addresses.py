"""A secret in a feed's address reaches the vendor and nobody else: no ledger, report or run."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.settings import ConfigurationError, load_settings
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import fetch_headlines, replay_headlines
from tasks.ingest.headlines.requests import feed_requests, request_of
from tasks.ingest.http import redaction
from tasks.ingest.http.client import feed_client
from tasks.ingest.http.redaction import holds_secret, redacted
from tasks.ingest.http.retry import FeedLimits, FetchError, RetryPolicy
from tests.builders.command_line import REPOSITORY, Newsvane
from tests.builders.servers import answering, asking
from warehouse.lake import Lake
from warehouse.storage.landing import Payload

NOW = datetime(2012, 6, 8, 12, tzinfo=UTC)
DAY = date(2012, 6, 8)
SECRET = "hunter2-hunter2"
LIMITS = FeedLimits(retry=RetryPolicy(attempts=1), private_hosts=("127.0.0.1",))


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process: no secret was sent yet."""
    monkeypatch.setattr(redaction, "_known", frozenset())


HIDES = (
    "https://x.example/rss?token=@@",
    "https://x.example/rss?a=1&API_KEY=@@&b=2",
    "https://x.example/rss?api-key=@@#top",
    "https://x.example/?tok%65n=@@",
    "https://x.example/?a=1;token=@@&b=2",
    "https://x.example/?u=https://y.example/?sig=@@",
    "https://x.example/?x[apikey]=@@",
    "https://x.example/#access_token=@@",
    "https://x.example/?X-Amz-Signature=@@&X-Amz-Credential=@@",
    "https://@@@x.example:8443/rss",
    "https://@@@x.example/a@b",
    '{"url": "https://x.example/?key=@@", "a": 1}',
    "<a href='https://x.example/?a=1&amp;secret=@@'>",
    "http://x.example/?password=@@ and http://y.example/?auth=@@",
)
"""Texts with a secret at each @@."""
SHOWN = (
    "https://x.example/rss?symbol=AAPL&author=Jane&page=2&keyword=rates&sort=desc",
    "https://x.example/rss?token=${NEWS_TOKEN}",
    "https://${USER}:${PASS}@x.example/rss",
    "https://x.example/rss?key={ticker}&signature=",
    "https://medium.example/@writer/post?monkey=1&design=2&assign=3",
    "Mail me@x.example; a = b, keys=3.",
)


@pytest.mark.parametrize("value", [SECRET, f"reader:{SECRET}", f"{SECRET}%40,b"])
@pytest.mark.parametrize("text", HIDES)
def test_secret_is_hidden_wherever_it_stands_in_an_address(text: str, value: str) -> None:
    spelled, hidden = text.replace("@@", value), text.replace("@@", "***")
    assert redacted(spelled) == hidden
    assert holds_secret(spelled)
    assert redacted(hidden) == hidden


@pytest.mark.parametrize("text", SHOWN)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text
    assert not holds_secret(text)


NAMES = ("token", "key", "apikey", "api_key", "auth", "sig", "signature", "password", "secret",
         "access_token")  # fmt: skip


@given(
    st.sampled_from(NAMES),
    st.text("abcXYZ019-._~%+:,!$*()@|;", min_size=1, max_size=20),
    st.booleans(),
)
def test_no_part_of_a_value_remains(name: str, value: str, upper: bool) -> None:
    spelled = name.upper() if upper else name
    address = f"https://x.example/a?q=1&{spelled}={value}&page=2"
    if value.strip("*:"):
        assert redacted(address) == f"https://x.example/a?q=1&{spelled}=***&page=2"


def feed(url: str, **fields: object) -> FeedSpec:
    return FeedSpec.model_validate({"name": "paid", "url": url, **fields})


def noting(asked: list[str], body: bytes | None = None) -> Callable[[str], bytes | None]:
    """A vendor that notes what it is asked for and gives the same answer to all, 404 for None."""

    def answer(path: str) -> bytes | None:
        asked.append(path)
        return body

    return answer


RSS = b"""<rss version="2.0"><channel><title>t</title><link>%s</link><item><title>Rates rise</title>
<link>https://x.example/1?from=%s</link><guid>1-%s</guid>
<pubDate>Fri, 08 Jun 2012 10:00:00 GMT</pubDate></item></channel></rss>"""


@pytest.mark.parametrize(
    "answer", [None, b"", b"<html>unknown token SECRET</html>", b"not found: SECRET", RSS]
)
@pytest.mark.parametrize("way", ["?token={}", "?key={}&symbol={{ticker}}", "{}/rss"])
def test_secret_reaches_the_vendor_and_no_row(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answer: bytes | None,
    way: str,
) -> None:
    monkeypatch.setenv("PAID_TOKEN", SECRET)
    caplog.set_level(logging.DEBUG)
    asked: list[str] = []
    body = answer and answer.replace(b"SECRET", SECRET.encode()).replace(b"%s", SECRET.encode())

    landed: list[Payload] = []

    def land(payload: Payload) -> str:
        landed.append(payload)
        return payload.payload_id

    with answering(noting(asked, body)) as address, feed_client(None, LIMITS) as client:
        url = f"{address}/{way.format('${PAID_TOKEN}')}"
        paid = feed(url, scope="ticker" if "ticker" in url else "general")
        batch = fetch_headlines(
            paid, ["IBM"], DAY, DAY, client=client, clock=lambda: NOW, land=land
        )
    assert [SECRET in path for path in asked] == [True]
    kept = [batch.headlines, batch.headline_tickers, batch.rejects, batch.partitions]
    text = json.dumps([table.to_pylist() for table in kept], default=str)
    text += str([payload.url for payload in landed]) + str(batch.payloads) + caplog.text
    assert SECRET not in text
    assert [payload.url for payload in landed] == (
        [f"{url.replace('{ticker}', 'IBM')}"] if body is not None else []
    )
    if answer is RSS:
        monkeypatch.setattr(redaction, "_known", frozenset())
        (again,) = replay_headlines(paid, landed)
        assert SECRET not in str(again.headlines.to_pylist())
        assert again.headlines.equals(batch.headlines)


def test_spelled_out_secret_is_sent_and_hidden() -> None:
    asked: list[str] = []
    with (
        answering(noting(asked)) as address,
        feed_client(None, LIMITS) as client,
        pytest.raises(FetchError, match="404") as refused,
    ):
        client.fetch(f"{address}/?token={SECRET}", source="s", clock=lambda: NOW)
    assert f"{address}/?token=***" in str(refused.value)
    assert asked == [f"/?token={SECRET}"]
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/?token=S", "http://user:S@127.0.0.1:1/", "http://10.0.0.1/?token=S",
     "ftp://x.example/?token=S", "http://no-such-host.invalid/?sig=S", "http:///?token=S"],
)  # fmt: skip
def test_no_error_of_a_request_tells_the_secret(url: str) -> None:
    with feed_client(None, LIMITS) as client, pytest.raises(FetchError) as refused:
        client.fetch(url.replace("S", SECRET), source="s", clock=lambda: NOW)
    assert SECRET not in str(refused.value)


def test_secret_of_an_address_that_a_vendor_leads_to_is_hidden() -> None:
    moved = f"http://127.0.0.1:1/moved?X-Amz-Signature={SECRET}"

    class Moves(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", moved)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Moves) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        with feed_client(None, LIMITS) as client, pytest.raises(FetchError) as refused:
            client.fetch(url, source="s", clock=lambda: NOW)
        server.shutdown()
    assert "moved?X-Amz-Signature=***" in str(refused.value)


def test_missing_reference_is_named_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAID_TOKEN", raising=False)
    asked: list[str] = []
    with (
        answering(noting(asked)) as address,
        feed_client(None, LIMITS) as client,
        pytest.raises(FetchError, match="environment variable PAID_TOKEN, which is not set"),
    ):
        client.fetch(f"{address}/?token=${{PAID_TOKEN}}", source="s", clock=lambda: NOW)
    assert asked == []


def test_value_is_one_part_of_the_address_whatever_is_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAID_TOKEN", "a&admin=1#/../?b c%41")
    asked: list[str] = []
    with answering(noting(asked, b"x")) as address, feed_client(None, LIMITS) as client:
        client.fetch(f"{address}/?token=${{PAID_TOKEN}}&q=1", source="s", clock=lambda: NOW)
    assert asked == ["/?token=a%26admin%3D1%23%2F..%2F%3Fb%20c%2541&q=1"]


@pytest.mark.parametrize("token", ["${PAID_TOKEN}", SECRET])
def test_address_without_its_secret_still_tells_its_request(token: str) -> None:
    search = feed(
        f"https://x.example/?token={token}&q={{ticker}}&from={{start}}&to={{end}}",
        mode="search", chunk="month",
    )  # fmt: skip
    asked = feed_requests(search, ["IBM", "MSFT"], date(2012, 5, 1), date(2012, 6, 8))
    assert len({request.url for request in asked}) == 4
    for request in asked:
        assert SECRET not in request.url + repr(request)
        assert token in request.address
        assert request_of(search, request.url, DAY) == request


def test_ticker_is_no_secret_whatever_its_parameter_is_called() -> None:
    keyed = feed("https://x.example/?key={ticker}")
    urls = [request.url for request in feed_requests(keyed, ["IBM", "MSFT"], DAY, DAY)]
    assert urls == ["https://x.example/?key=IBM", "https://x.example/?key=MSFT"]


def test_configuration_that_is_refused_does_not_repeat_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "newsvane.toml"
    path.write_text(
        f'[[feeds]]\nname = "x"\nurl = "https://u:{SECRET}@x.example/?token={SECRET}"\n'
    )
    with pytest.raises(ConfigurationError, match="placeholders") as refused:
        load_settings(path)
    assert SECRET not in str(refused.value)


def test_override_may_not_spell_a_secret_out(tmp_path: Path) -> None:
    """Overrides are parameters of the run, which Prefect keeps and shows."""
    url = f"https://x.example/?token={SECRET}&q={{ticker}}"
    feeds = f'feeds=[{{name = "x", url = "{url}"}}]'
    with pytest.raises(ConfigurationError, match="expected a reference") as refused:
        load_settings(overrides=[feeds])
    assert SECRET not in str(refused.value)
    (kept,) = load_settings(overrides=[feeds.replace(SECRET, "${PAID_TOKEN}")]).feeds
    assert kept.url.endswith("token=${PAID_TOKEN}&q={ticker}")


@pytest.mark.parametrize(
    "catalog", ["dbname=x password=@@", "host=y PASSWORD = '@@'", "//u:@@@h/x"]
)
@pytest.mark.parametrize(
    "table", ["[warehouse]\ncatalog = {}", "warehouse = {{catalog = {}, n = 1}}"]
)
def test_password_of_a_catalog_is_not_repeated(tmp_path: Path, catalog: str, table: str) -> None:
    path, spelled = tmp_path / "newsvane.toml", f"postgres:{catalog.replace('@@', SECRET)}"
    path.write_text(table.format(json.dumps(spelled)))
    with pytest.raises(ConfigurationError, match="PGPASSWORD") as refused:
        load_settings(path)
    assert SECRET not in str(refused.value)
    with pytest.raises(ConfigurationError, match="PGPASSWORD") as refused:
        load_settings(overrides=[f"warehouse.catalog={spelled}"])
    assert SECRET not in str(refused.value)


FEEDS = """
[[profiles.paid.feeds]]
name = "spelled"
mode = "search"
url = "https://spelled.example/{start}/{end}?symbol={ticker}&token=%s"

[[profiles.paid.feeds]]
name = "referred"
mode = "search"
url = "https://reader:${PAID_TOKEN}@referred.example/{start}/{end}?s={ticker}"
"""


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    """The shipped configuration with two paid feeds that the sandbox's vendor does not have."""
    path = tmp_path / "newsvane.toml"
    shipped = (REPOSITORY / "newsvane.toml").read_text("utf-8")
    paid = '\n[profiles.paid]\ninherits = "sandbox"\n' + FEEDS % SECRET
    path.write_text(shipped + paid, "utf-8")
    return path


@pytest.mark.slow
def test_feed_that_answers_404_leaves_its_secret_nowhere(
    prefect_runs: str, newsvane: Newsvane, own_file: Path, tmp_path: Path
) -> None:
    words = ("--config", str(own_file), "--profile", "paid", "--set", 'universe.tickers=["IBM"]')
    secret = {"PAID_TOKEN": f"{SECRET}-referred", "NEWSVANE_HTTP__FEEDS__RETRY__ATTEMPTS": "1"}
    days = ("2012-06-04", "2012-06-08", "--what", "headlines")
    said = [newsvane(*words, "backfill", *days, **secret)]
    assert said[0].returncode == 2
    assert "?symbol=IBM&token=***" in said[0].stderr
    said += [newsvane(*words, "sources", "check", **secret), newsvane(*words, "report", **secret)]
    said.append(newsvane(*words, "sql", "select * from partitions", **secret))
    assert "spelled" in said[1].stdout
    assert SECRET not in "".join(one.stdout + one.stderr for one in said)
    with asking(prefect_runs, os.environ["PREFECT_API_AUTH_STRING"]) as server:
        kinds = ("logs", "flow_runs", "task_runs", "artifacts", "block_documents")
        shown = json.dumps([server.post(f"/{kind}/filter", json={}).json() for kind in kinds])
    assert "spelled" in shown
    assert SECRET not in shown
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    spec = load_settings(own_file, "paid", [f"data_root={tmp_path / 'data'}"]).warehouse
    with Lake.open(spec) as lake:
        failed = lake.sql("select error from partitions where state = 'failed'")["error"]
    assert failed.length() == 2


@pytest.mark.slow
def test_secret_that_the_environment_lacks_is_that_of_a_block(
    prefect_runs: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The flow's own client, on a vendor on loopback; the block is kept by a real server."""
    from prefect import flow
    from prefect.blocks.system import Secret

    from flows.connections import outside_world

    for name in ("BLOCK_TOKEN", "ABSENT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    block = Secret.model_validate({"value": f"{SECRET}-of-a-block"})
    assert block.save("block-token", overwrite=True)
    monkeypatch.setenv("NEWSVANE_DATA_ROOT", str(tmp_path))
    settings = load_settings(REPOSITORY / "newsvane.toml", "live")
    local = settings.http.feeds.model_copy(update={"private_hosts": ("127.0.0.1",)})
    http = settings.http.model_copy(update={"feeds": local})
    settings = settings.model_copy(update={"http": http})

    def fetch(url: str) -> bytes:
        with outside_world(settings) as outside:
            return outside.feeds.fetch(url, source="s", clock=lambda: NOW).body

    asked: list[str] = []
    with answering(noting(asked, b"news")) as address:
        in_flow = flow(name="asks a paid feed")(fetch)
        url = f"{address}/?token=${{BLOCK_TOKEN}}"
        assert in_flow(url) == b"news"
        assert asked == [f"/?token={SECRET}-of-a-block"]
        assert SECRET not in redacted(f"the vendor said {SECRET}-of-a-block")
        with pytest.raises(FetchError, match=r"ABSENT_TOKEN.*Secret block.*\(absent-token\)"):
            in_flow(f"{address}/?token=${{ABSENT_TOKEN}}")
        with pytest.raises(FetchError, match="BLOCK_TOKEN, which is not set"):
            fetch(url)
        monkeypatch.setenv("BLOCK_TOKEN", "of-the-environment")
        in_flow(url)
    assert asked[1:] == ["/?token=of-the-environment"]
