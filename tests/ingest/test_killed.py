"""An ingest or an import killed at any moment and run again leaves the tables of one that was not.

NEWSVANE_KILLS sets how often each is killed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd  # noqa: F401 - imported before the fork, so that children start at once
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yfinance  # noqa: F401

from sandbox.faults import Fault, FaultPlan
from sandbox.market import Market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tasks.dataset.spec.clock import exchange_sessions
from tasks.ingest.headlines.archive import HeadlineMapping, read_headlines
from tasks.ingest.prices.fetch import fetch_prices
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.yahoo_transport import yahoo_session
from tests.builders.forks import Forks, forks_of, serve
from tests.builders.warehouse import bytes_below, lake_spec_below, wait_for_bytes
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.headlines import publish_headlines
from warehouse.tables.prices import publish_prices

pytestmark = pytest.mark.slow

KILLS = os.environ.get("NEWSVANE_KILLS")
KILLS_A_WAREHOUSE = 4
NOW = datetime(2013, 3, 1, 22, 30, tzinfo=UTC)
MONTHS = [date(2012, month, 1) for month in range(9, 13)]
MAPPING = HeadlineMapping(source="archive", title="text", published_at="when", ticker="symbol")
# All of the tables but what the vendor's own clock puts into answers.
PRICES = dict.fromkeys(
    ("bars", "bar_revisions", "actions", "action_revisions", "quarantine", "partitions"), "*"
) | {"payloads": "* EXCLUDE (headers)"}
HEADLINES = dict.fromkeys(
    ("headlines", "headline_tickers", "headline_revisions", "quarantine", "payloads"), "*"
)


def ingest_prices(folder: str, origin: str) -> None:
    """Three monthly ranges of two tickers, a commit each."""
    below = Path(folder)
    prices = PriceSpec(source="sandbox", basis="session", cache=below / "yfinance")
    calendar = exchange_sessions("XNYS", date(2012, 1, 3), date(2013, 3, 1))
    session = yahoo_session(origin, clock=lambda: NOW)
    land = Landing(below / "landing").store
    with Lake.open(lake_spec_below(below)) as lake:
        for days in pairwise(MONTHS):
            batch = fetch_prices(
                ("AAPL", "IBM"), *days, prices,
                session=session, clock=lambda: NOW, land=land, calendar=calendar,
            )  # fmt: skip
            publish_prices(lake, batch, now=NOW)


def import_headlines(folder: str, file: str) -> None:
    """The whole archive, a commit for every hundred rows."""
    now, land = datetime(2024, 1, 2, tzinfo=UTC), Landing(Path(folder) / "landing").store
    with Lake.open(lake_spec_below(Path(folder))) as lake:
        for batch in read_headlines(
            Path(file), MAPPING, clock=lambda: now, land=land, batch_rows=100
        ):
            publish_headlines(lake, batch, now=now)


def work(what: str, folder: str, source: str) -> None:
    {"prices": ingest_prices, "headlines": import_headlines}[what](folder, source)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with forks_of(__file__) as found:
        yield found


@pytest.fixture
def origin(bokeh: Market) -> Iterator[str]:
    # One bad bar, so that the quarantine has something to lose.
    plan = FaultPlan.of(Fault(kind="negative_price", ticker="IBM"))
    with SandboxVendor(bokeh, NewsSpec(), now=lambda: NOW, faults=plan) as vendor:
        yield vendor.base_url


def archive(path: Path) -> Path:
    """Four hundred rows: repeats, near duplicates, one that must be rejected."""
    chance = random.Random(5)
    first = datetime(2020, 3, 2, tzinfo=UTC)
    titles = [f"Company {chance.randrange(40)} lifts its outlook for the year" for _ in range(400)]
    titles[7] = ""
    when = [first + timedelta(minutes=chance.randrange(20_000)) for _ in titles]
    symbols = [chance.choice(("AAPL", "IBM")) for _ in titles]
    pq.write_table(pa.table({"text": titles, "when": when, "symbol": symbols}), path)
    return path


def tables(folder: Path, columns: dict[str, str]) -> dict[str, pa.Table]:
    with Lake.open(lake_spec_below(folder)) as lake:
        return {
            name: lake.sql(f"SELECT {chosen} FROM {name} ORDER BY ALL")
            for name, chosen in columns.items()
        }


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_killed_ingest_of_prices_run_again_equals_an_uninterrupted_one(
    forks: Forks, origin: str, tmp_path: Path
) -> None:
    whole = made(tmp_path / "whole")
    forks.run(whole, "prices", whole, origin).wait()
    written, expected = bytes_below(whole), tables(whole, PRICES)
    assert expected["bars"].num_rows > 100
    assert expected["quarantine"].num_rows > 0

    moments, kills, killed = random.Random(20130301), int(KILLS or 8), 0
    for first in range(0, kills, KILLS_A_WAREHOUSE):
        broken = made(tmp_path / f"broken{first}")
        for _ in range(min(KILLS_A_WAREHOUSE, kills - first)):
            child = forks.run(broken, "prices", broken, origin)
            wait_for_bytes(broken, moments.randrange(written), child.ended)
            killed += child.kill()
        forks.run(broken, "prices", broken, origin).wait()
        found = tables(broken, PRICES)
        for name in PRICES:
            assert found[name].equals(expected[name]), name
        landing = Landing(broken / "landing")
        for payload_id in found["payloads"]["payload_id"].to_pylist():
            landing.load(payload_id)
    assert killed > kills // KILLS_A_WAREHOUSE


def test_killed_import_of_headlines_run_again_equals_an_uninterrupted_one(
    forks: Forks, tmp_path: Path
) -> None:
    file = archive(tmp_path / "news.parquet")
    whole, broken = made(tmp_path / "whole"), made(tmp_path / "broken")
    forks.run(whole, "headlines", whole, file).wait()
    written, expected = bytes_below(whole), tables(whole, HEADLINES)
    assert expected["headlines"].num_rows > 300
    assert expected["quarantine"].num_rows == 1
    chance, kills, killed = random.Random(11), int(KILLS or 5), 0
    for number in range(kills):
        child = forks.run(broken, "headlines", broken, file)
        wait_for_bytes(broken, int(written * (number + chance.random()) / kills), child.ended)
        killed += child.kill()
    assert killed, "no import was killed before its end"
    forks.run(broken, "headlines", broken, file).wait()
    found = tables(broken, HEADLINES)
    for name in HEADLINES:
        assert found[name].equals(expected[name]), name


if __name__ == "__main__":
    serve(work)
