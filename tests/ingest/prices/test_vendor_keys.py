"""Keys of price vendors come from the environment, reach the vendor, and stay nowhere else."""

from __future__ import annotations

import gzip
import json
import logging
import os
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest

from flows.settings import ConfigurationError, load_settings
from sandbox.faults import Fault, FaultPlan
from sandbox.market import Market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tasks.ingest.http import redaction
from tasks.ingest.http.client import FeedClient, price_client
from tasks.ingest.http.retry import PriceLimits, RetryPolicy
from tasks.ingest.prices.fetch import fetch_prices
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.web_vendor import WebVendor, web_vendor
from tasks.ingest.prices.yahoo_transport import yahoo_session
from tests.builders.command_line import Newsvane
from tests.builders.servers import asking
from warehouse.lake import Lake
from warehouse.storage.landing import Payload

NOW = datetime(2005, 3, 11, 23, 0, tzinfo=UTC)
KEYS = {"TIINGO_TOKEN": "tiingo-4711-token", "ALPHA_KEY": "ALPHA0815KEY", "STOOQ_KEY": "stooq99key"}
VENDORS = (
    'prices.vendors=["yahoo", {kind="stooq", key="${STOOQ_KEY}"}, '
    '{kind="alpha_vantage", key="${ALPHA_KEY}"}, {kind="tiingo", key="${TIINGO_TOKEN}"}]'
)


def others(spec: PriceSpec, client: FeedClient) -> dict[str, WebVendor]:
    """Every vendor but Yahoo, over one client."""
    return {
        one.name: web_vendor(one, spec.exchange_zone, client, lambda: NOW)
        for one in spec.in_order
        if one.kind != "yahoo"
    }


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process: no secret was sent yet."""
    monkeypatch.setattr(redaction, "_known", frozenset())


@pytest.mark.parametrize("kind", ["rate_limited", "limit_page", "delisted", "html_page", None])
def test_key_reaches_the_vendor_and_no_row_or_payload(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    bokeh: Market,
    exchange_calendar: pa.Table,
    kind: str | None,
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    faults = [Fault.model_validate({"kind": kind})] if kind else []
    limits = PriceLimits(retry=RetryPolicy(attempts=1))
    landed: list[Payload] = []

    def land(payload: Payload) -> str:
        landed.append(payload)
        return payload.payload_id

    settings = load_settings(overrides=[VENDORS, "prices.cross_check=true"])
    spec = PriceSpec.model_validate(settings.prices.model_dump() | {"cache": tmp_path / "yfinance"})
    with (
        SandboxVendor(bokeh, NewsSpec(), now=lambda: NOW, faults=FaultPlan.of(*faults)) as vendor,
        price_client(vendor.base_url, limits, 60.0) as client,
        yahoo_session(vendor.base_url, limits, clock=lambda: NOW) as session,
    ):
        batch = fetch_prices(
            ("IBM",),
            date(2005, 3, 7),
            date(2005, 3, 11),
            spec,
            session=session,
            clock=lambda: NOW,
            land=land,
            calendar=exchange_calendar,
            others=others(spec, client),
        )
        requests = [served.request for served in vendor.requests]
    sent = {
        request.query.get("apikey") or request.headers.get("authorization") for request in requests
    }
    assert sent >= {KEYS["STOOQ_KEY"], KEYS["ALPHA_KEY"], f"Token {KEYS['TIINGO_TOKEN']}"}
    tables = [batch.bars, batch.readings, batch.rejects, batch.partitions]
    text = json.dumps([table.to_pylist() for table in tables], default=str)
    text += repr(batch.payloads) + repr(batch.missing) + repr(batch.notes) + caplog.text
    text += "".join(payload.body.decode("latin-1") for payload in landed)
    assert [name for name, value in KEYS.items() if value in text] == []
    assert not any("apikey" in parse_qs(urlsplit(payload.url).query) for payload in landed)
    if kind == "limit_page":
        # The vendor repeats the key that it was sent.
        assert "We have detected your API key as ***" in text


def test_key_that_is_not_set_is_named_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bokeh: Market, exchange_calendar: pa.Table
) -> None:
    monkeypatch.delenv("TIINGO_TOKEN", raising=False)
    tiingo = {"kind": "tiingo", "key": "${TIINGO_TOKEN}"}
    spec = PriceSpec.model_validate({"vendors": [tiingo], "cache": tmp_path})
    with (
        SandboxVendor(bokeh, NewsSpec(), now=lambda: NOW) as vendor,
        price_client(vendor.base_url, PriceLimits(), 60.0) as client,
        yahoo_session(vendor.base_url, clock=lambda: NOW) as session,
    ):
        batch = fetch_prices(
            ("IBM",),
            date(2005, 3, 7),
            date(2005, 3, 11),
            spec,
            session=session,
            clock=lambda: NOW,
            land=lambda payload: payload.payload_id,
            calendar=exchange_calendar,
            others=others(spec, client),
        )
        assert vendor.requests == ()
    [(_, error)] = batch.missing
    assert "TIINGO_TOKEN" in error


@pytest.mark.parametrize("key", [KEYS["TIINGO_TOKEN"], "${TIINGO_TOKEN}x", "token=${T}"])
def test_key_that_is_spelled_out_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    path = tmp_path / "newsvane.toml"
    path.write_text(f'[prices]\nvendors = ["yahoo", {{ kind = "tiingo", key = "{key}" }}]\n')
    with pytest.raises(ConfigurationError, match="expected a reference") as refused:
        load_settings(path)
    assert KEYS["TIINGO_TOKEN"] not in str(refused.value)


def test_vendor_that_wants_a_key_is_refused_without_one() -> None:
    with pytest.raises(ConfigurationError, match="answers nobody without a key"):
        load_settings(overrides=['prices.vendors=["yahoo", "tiingo"]'])


def test_one_source_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="each source once"):
        load_settings(overrides=['prices.vendors=["stooq", "yahoo", "stooq"]'])


@pytest.mark.slow
def test_no_store_holds_a_key_and_the_check_shows_who_gave_what(
    prefect_runs: str, newsvane: Newsvane, tmp_path: Path
) -> None:
    faults = (
        'sandbox.faults={faults=[{kind="server_error", path="/v8/", ticker="AAPL"}, '
        '{kind="limit_page", path="/query"}, {kind="stale_bar", path="/q/d/l/", ticker="IBM"}]}'
    )
    words = ("--profile", "sandbox", "--set", 'universe.tickers=["AAPL", "IBM"]', "--set", VENDORS)
    words = (*words, "--set", faults, "--set", "prices.cross_check=true")
    environment = {**KEYS, "NEWSVANE_HTTP__PRICES__RETRY__ATTEMPTS": "1"}
    days = ("2013-02-04", "2013-03-01", "--what", "prices")
    said = [newsvane(*words, "backfill", *days, **environment)]
    assert said[0].returncode == 0, said[0].stderr
    said.append(newsvane(*words, "sources", "check", **environment))
    assert "8 requests, about" in said[0].stdout
    assert "AAPL: stooq gave 19 bars that sandbox-yahoo did not" in said[0].stdout
    # given, held, compared, agreed, disagreed, alone
    cells = [[cell.strip() for cell in line.split("│")] for line in said[1].stdout.splitlines()]
    gave = {row[1]: [*row[2:4], *row[7:11]] for row in cells if len(row) == 16}
    assert gave == {
        "sandbox-yahoo": ["29", "29", "0", "0", "0", "0"],
        "stooq": ["58", "29", "29", "28", "1", "0"],
        "tiingo": ["58", "0", "58", "58", "0", "0"],
    }
    said.append(newsvane(*words, "replay", **environment))
    assert ": 0 requests, 0 bars, 0 actions, 0 headlines, 0 quarantined." in said[2].stdout
    # A month later: who waits for the first one to fail may be silent, the first one may not.
    late = ("--set", "sandbox.now=2013-04-01T12:00:00Z")
    [alone, crossed] = [
        newsvane(*words, *late, "--set", f"prices.cross_check={crossed}", "sources", "check").stdout
        for crossed in ("false", "true")
    ]
    assert "sandbox-yahoo IBM: last answered" in alone
    assert "stooq AAPL, IBM: last answered" not in alone
    assert "stooq AAPL, IBM: last answered" in crossed
    text = "".join(one.stdout + one.stderr for one in said)
    with asking(prefect_runs, os.environ["PREFECT_API_AUTH_STRING"]) as server:
        kinds = ("logs", "flow_runs", "task_runs", "artifacts", "block_documents")
        text += json.dumps([server.post(f"/{kind}/filter", json={}).json() for kind in kinds])
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    payloads = [path for path in files if path.suffix == ".gz"]
    text += "".join(path.read_bytes().decode("latin-1") for path in files)
    text += "".join(gzip.decompress(path.read_bytes()).decode("latin-1") for path in payloads)
    assert "We have detected your API key as ***" in text
    spec = load_settings(None, "sandbox", [f"data_root={tmp_path / 'data'}"]).warehouse
    with Lake.open(spec) as lake:
        tables = lake.sql("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'")
        for name in tables["table_name"].to_pylist():
            text += str(lake.sql(f"FROM {name}").to_pylist())
        held = lake.sql("SELECT ticker, source, count(*) AS n FROM bars GROUP BY ALL ORDER BY ALL")
        assert [(row["ticker"], row["source"]) for row in held.to_pylist()] == [
            ("AAPL", "stooq"), ("IBM", "sandbox-yahoo")
        ]  # fmt: skip
    assert [name for name, value in KEYS.items() if value in text] == []
