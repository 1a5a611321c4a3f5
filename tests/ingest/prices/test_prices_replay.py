"""Replaying landed price answers, and what repeated readings of the same days amount to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sandbox.faults import Fault
from tasks.ingest.prices.replay import replay_prices
from tasks.ingest.prices.spec import PriceSpec
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.batches import PriceBatch
from warehouse.tables.prices import PricePublication, publish_prices

PAIR = ("AAPL", "IBM")
START, END = date(2013, 2, 1), date(2013, 2, 28)
BARS = "SELECT * EXCLUDE (vendor_adj_close, payload_id, recorded_at) FROM bars ORDER BY ALL"


def publish(lake: Lake, batch: PriceBatch, now: datetime) -> PricePublication:
    return publish_prices(lake, batch, now=now)


def evening(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 22, 30, tzinfo=UTC)


def replayed(lake: Lake, vendor: Any) -> PriceBatch:
    return replay_prices(
        lake.read("charts_landed", {"source": "sandbox"}),
        Landing(vendor.folder / "landing").load,
        PriceSpec(source="sandbox", basis="session", cache=vendor.folder / "yfinance"),
        calendar=vendor.calendar,
    )


def test_daily_runs_and_one_backfill_give_the_same_bars(
    yahoo: Any, lake: Lake, lake_spec: Any
) -> None:
    days = pc.unique(
        yahoo.calendar["session"].filter(
            pc.is_in(
                yahoo.calendar["session"],
                pa.array([START + timedelta(days=day) for day in range(28)]),
            )
        )
    ).to_pylist()
    for day in days[-4:]:
        batch = yahoo.fetch(PAIR, day, day, now=evening(day), overlap_sessions=5)
        publish(lake, batch, evening(day))
    daily = lake.sql(BARS)
    backfill = yahoo.fetch(PAIR, days[-4], days[-1], overlap_sessions=5)
    assert publish(lake, backfill, evening(END)).bars_revised == 0
    assert lake.sql(BARS).equals(daily)
    assert daily.num_rows == 2 * (4 + 5)


def test_replay_of_what_was_read_changes_nothing(yahoo: Any, lake: Lake) -> None:
    for day in (date(2013, 2, 26), date(2013, 2, 27)):
        batch = yahoo.fetch(
            PAIR, day, day, Fault(kind="nan_last_row", ticker="IBM"),
            now=evening(day), overlap_sessions=5,
        )  # fmt: skip
        publish(lake, batch, evening(day))
    before = lake.snapshot_id()
    batch = replayed(lake, yahoo)
    assert batch.requested == PAIR
    assert batch.missing == ()
    assert batch.bars.num_rows > 0
    assert publish(lake, batch, evening(END)) == PricePublication(0, 0, 0, 0, 0)
    assert lake.snapshot_id() == before


def test_replay_of_an_empty_landing_zone_is_an_empty_batch(yahoo: Any, lake: Lake) -> None:
    batch = replayed(lake, yahoo)
    assert publish(lake, batch, evening(END)) == PricePublication(0, 0, 0, 0, 0)


def test_replay_cures_what_a_faulty_parser_published(yahoo: Any, lake: Lake) -> None:
    batch = yahoo.fetch(PAIR, START, END)
    doubled = batch.bars.set_column(
        batch.bars.column_names.index("close"), "close", pc.multiply(batch.bars["close"], 2.0)
    )
    publish(lake, replace(batch, bars=doubled), evening(END))
    outcome = publish(lake, replayed(lake, yahoo), evening(END))
    assert outcome.bars_revised == batch.bars.num_rows
    truth = yahoo.market.bars
    stored = lake.sql("SELECT ticker, session, close FROM bars ORDER BY ALL")
    cured = stored.join(truth, ["ticker", "session"], join_type="inner", right_suffix="_true")
    assert cured.num_rows == batch.bars.num_rows
    assert pc.all(pc.equal(cured["close"], cured["close_true"])).as_py()


def test_replay_of_an_unreadable_answer_names_it(yahoo: Any, lake: Lake) -> None:
    fault = Fault(kind="html_page", path="/v8/finance/chart/IBM")
    publish(lake, yahoo.fetch(PAIR, START, END, fault), evening(END))
    batch = replayed(lake, yahoo)
    assert {ticker for ticker, _ in batch.missing} == {"IBM"}
    assert set(batch.bars["ticker"].to_pylist()) == {"AAPL"}
