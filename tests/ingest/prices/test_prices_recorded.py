"""Recorded Yahoo answers, replayed through the real client by a server on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tasks.dataset.spec.clock import exchange_sessions
from tasks.ingest.prices.fetch import fetch_prices
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.yahoo_transport import yahoo_session
from tests.builders.servers import answering
from warehouse.storage.landing import Landing
from warehouse.tables.batches import PriceBatch

pytestmark = pytest.mark.shared_data

FETCHED = datetime(2025, 2, 22, 12, tzinfo=UTC)
RECORDED = {
    # ticker: (file, first day, last day, bars, splits, dividends)
    "TSLA": ("TSLA.rt-dividends-TSLA-no-dividends.json", "2010-06-29", "2023-08-13", 3303, 0, 0),
    "NVDA": ("NVDA.t-2021-02-01-to-2022-01-31.csv.json", "2021-02-01", "2022-01-30", 252, 1, 0),
    "MSFT": ("MSFT.s-2021-02-01-to-2022-01-31.csv.json", "2021-02-01", "2022-01-30", 252, 0, 4),
    "AAPL": ("AAPL.-AAPL-2020-08-31-to-2020-11-07.json", "2020-08-31", "2020-11-06", 49, 1, 1),
}


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> Iterator[str]:
    folder = shared_data / "recorded" / "yahoo_chart_payloads"
    bodies = {ticker: (folder / row[0]).read_bytes() for ticker, row in RECORDED.items()}
    paths = {f"/v8/finance/chart/{ticker}": body for ticker, body in bodies.items()}
    # An answer for another company than the one requested: what follows a rename or a reuse.
    paths["/v8/finance/chart/FB"] = bodies["TSLA"]

    def answer(path: str) -> bytes | None:
        path = urlsplit(path).path
        return paths.get(path, b"crumb" if "getcrumb" in path else None)

    with answering(answer) as address:
        yield address


def replay(origin: str, ticker: str, start: str, end: str, folder: Path) -> PriceBatch:
    with yahoo_session(origin, clock=lambda: FETCHED) as session:
        return fetch_prices(
            (ticker,),
            date.fromisoformat(start),
            date.fromisoformat(end),
            PriceSpec(cache=folder / "yfinance", overlap_sessions=0),
            session=session,
            clock=lambda: FETCHED,
            land=Landing(folder / "landing").store,
            calendar=exchange_sessions("XNYS", date(2010, 1, 4), date(2025, 2, 21)),
        )


def counted(actions: pa.Table, kind: str) -> int:
    return int(pc.sum(pc.equal(actions["kind"], kind)).as_py() or 0)


@pytest.mark.parametrize("ticker", sorted(RECORDED))
def test_recorded_answer_replays_with_exact_counts(
    recorded: str, ticker: str, tmp_path: Path
) -> None:
    _, start, end, n_bars, n_splits, n_dividends = RECORDED[ticker]
    batch = replay(recorded, ticker, start, end, tmp_path)
    assert batch.rejects.to_pylist() == []
    assert batch.bars.num_rows == n_bars
    assert counted(batch.actions, "split") == n_splits
    assert counted(batch.actions, "dividend") == n_dividends


@pytest.mark.parametrize("ticker", sorted(RECORDED))
def test_recorded_bars_equal_the_payload_to_the_last_bit(
    recorded: str, ticker: str, tmp_path: Path
) -> None:
    _, start, end, *_ = RECORDED[ticker]
    batch = replay(recorded, ticker, start, end, tmp_path)
    result = json.loads(batch.payloads[-1].body)["chart"]["result"][0]
    quote = result["indicators"]["quote"][0]
    for name in ("open", "high", "low", "close", "volume"):
        assert batch.bars[name].to_pylist() == quote[name]
    adjusted = result["indicators"]["adjclose"][0]["adjclose"]
    assert batch.bars["vendor_adj_close"].to_pylist() == adjusted
    assert set(batch.bars["basis_date"].to_pylist()) == {date(2025, 2, 22)}


def test_recorded_split_is_already_inside_the_prices(recorded: str, tmp_path: Path) -> None:
    batch = replay(recorded, "NVDA", "2021-02-01", "2022-01-30", tmp_path)
    [split] = batch.actions.to_pylist()
    assert (split["ex_date"], split["value"]) == (date(2021, 7, 20), 4.0)
    closes = {row["session"]: row["close"] for row in batch.bars.to_pylist()}
    assert 0.9 < closes[date(2021, 7, 20)] / closes[date(2021, 7, 19)] < 1.1


def test_answer_for_another_company_is_refused(recorded: str, tmp_path: Path) -> None:
    batch = replay(recorded, "FB", "2013-02-01", "2013-02-28", tmp_path)
    assert batch.bars.num_rows == 0
    assert "Asked for FB, answered as TSLA" in batch.missing[0][1]
