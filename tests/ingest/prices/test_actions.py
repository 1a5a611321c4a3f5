"""Actions: a dividend or split keeps its own day and is believed only if the price bears it out."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.dataset.spec.clock import exchange_sessions
from tasks.ingest.archive_file import ArchiveError
from tasks.ingest.prices.actions_archive import ActionMapping, open_actions
from tasks.ingest.prices.archive import PriceMapping, read_prices
from tasks.ingest.prices.replay import replay_prices
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.surroundings import Surroundings
from tasks.ingest.prices.validation import NO_CALENDAR, PriceRules, validate_actions
from warehouse.lake import Lake
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import Landing
from warehouse.tables.batches import ACTIONS, BARS, PriceBatch
from warehouse.tables.prices import publish_prices

NOW = datetime(2024, 6, 11, 12, tzinfo=UTC)
NEW_YORK, SAO_PAULO = "America/New_York", "America/Sao_Paulo"
DAYS = exchange_sessions("XNYS", date(2024, 5, 1), date(2024, 6, 10))["session"].to_pylist()
EX_DATE = DAYS[13]
OTHER = "another currency than the share is quoted in"


def stamp(day: date, zone: str = NEW_YORK, hour: int = 9, minute: int = 30) -> int:
    return int(
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone)).timestamp()
    )


def chart(
    stamps: list[int],
    *,
    dividends: dict[int, Any] | None = None,
    splits: dict[int, tuple[float, float]] | None = None,
    zone: str = NEW_YORK,
    currency: str = "USD",
) -> bytes:
    """One chart answer: a price of about 100 that climbs, and events by their stamps."""
    closes = [100 + 0.3 * number for number in range(len(stamps))]
    quote = {
        "open": closes, "high": [close + 1 for close in closes], "close": closes,
        "low": [close - 1 for close in closes],
        "volume": [1_000_000 + number for number in range(len(stamps))],
    }  # fmt: skip
    paid = {
        str(at): {"date": at, **(amount if isinstance(amount, dict) else {"amount": amount})}
        for at, amount in (dividends or {}).items()
    }
    split = {
        str(at): {"date": at, "numerator": new, "denominator": old}
        for at, (new, old) in (splits or {}).items()
    }
    meta = {
        "symbol": "ODD", "currency": currency, "exchangeTimezoneName": zone,
        "dataGranularity": "1d", "validRanges": ["1d"], "priceHint": 2, "instrumentType": "EQUITY",
    }  # fmt: skip
    result = {
        "meta": meta, "timestamp": stamps,
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": closes}]},
        "events": {"dividends": paid, "splits": split},
    }  # fmt: skip
    return json.dumps({"chart": {"result": [result], "error": None}}).encode()


def read(folder: Path, *bodies: bytes, zone: str = NEW_YORK, exchange: str = "XNYS") -> PriceBatch:
    """What the real client and the rules make of landed answers."""
    first, after = stamp(date(2024, 5, 1), zone, 0, 0), stamp(date(2024, 6, 11), zone, 0, 0)
    url = f"https://q/v8/finance/chart/ODD?period1={first}&period2={after}&interval=1d"
    landed = pa.table(
        {
            "payload_id": [str(number) for number in range(len(bodies))],
            "url": [url] * len(bodies),
            "fetched_at": pa.array([NOW] * len(bodies), pa.timestamp("us", tz="UTC")),
        }
    )
    calendar = exchange_sessions(exchange, date(2024, 5, 1), date(2024, 6, 30))
    spec = PriceSpec(cache=folder / "yfinance", exchange_zone=zone)
    return replay_prices(landed, lambda number: bodies[int(number)], spec, calendar=calendar)


def told(batch: PriceBatch) -> dict[tuple[str, date], float]:
    return {(row["kind"], row["ex_date"]): row["value"] for row in batch.actions.to_pylist()}


def refused(batch: PriceBatch) -> dict[str, str]:
    return {row["key"]: row["reason"] for row in batch.rejects.to_pylist()}


def test_dividend_of_a_day_without_a_bar_keeps_its_day(tmp_path: Path) -> None:
    """yfinance moves it to a neighbouring day."""
    stamps = [stamp(day) for day in DAYS if day != EX_DATE]
    batch = read(tmp_path, chart(stamps, dividends={stamp(EX_DATE): 0.5}))
    assert told(batch) == {("dividend", EX_DATE): 0.5}
    assert refused(batch) == {}


def test_dividends_and_splits_that_cannot_be_are_refused_and_the_bars_stay(tmp_path: Path) -> None:
    rest = EX_DATE + timedelta(days=5 - EX_DATE.weekday())
    body = chart(
        [stamp(day) for day in DAYS],
        dividends={
            stamp(DAYS[3]): 250.0, stamp(DAYS[5]): 40.0, stamp(DAYS[7]): None,
            stamp(DAYS[9]): {"amount": 0.4, "currency": "EUR"}, stamp(rest): 0.3,
            stamp(DAYS[20]): 0.3, stamp(DAYS[21]): 0.3, stamp(DAYS[22]): 0.3, stamp(DAYS[23]): 30.0,
        },
        splits={stamp(DAYS[11]): (1, 0), stamp(DAYS[12]): (5000, 1)},
    )  # fmt: skip
    batch = read(tmp_path, body)
    assert batch.bars.num_rows == len(DAYS)
    assert set(told(batch)) == {("dividend", day) for day in DAYS[20:23]}
    assert refused(batch) == {
        f"ODD@{DAYS[3]}@dividend": "dividend is worth more than the share",
        f"ODD@{DAYS[5]}@dividend": "no fall of the price explains the dividend",
        f"ODD@{DAYS[7]}@dividend": "value is null or infinite",
        f"ODD@{DAYS[9]}@dividend": f"dividend is paid in {OTHER}",
        f"ODD@{rest}@dividend": "ex-date is not a session of the exchange",
        f"ODD@{DAYS[23]}@dividend": "no fall of the price explains the dividend",
        f"ODD@{DAYS[11]}@split": "value is null or infinite",
        f"ODD@{DAYS[12]}@split": "split ratio is beyond 1000:1",
    }


def test_two_values_for_one_day_are_both_refused_and_a_repeat_once(tmp_path: Path) -> None:
    again = stamp(EX_DATE, hour=10)
    batch = read(
        tmp_path, chart([stamp(day) for day in DAYS], dividends={stamp(EX_DATE): 0.5, again: 0.5})
    )
    assert told(batch) == {("dividend", EX_DATE): 0.5}
    batch = read(
        tmp_path, chart([stamp(day) for day in DAYS], dividends={stamp(EX_DATE): 0.5, again: 0.7})
    )
    assert told(batch) == {}
    assert [row["reason"] for row in batch.rejects.to_pylist()] == [
        "several values for one ex-date"
    ] * 2


@pytest.mark.parametrize("events", [[], {"dividends": []}, {"dividends": {"x": {"amount": 1}}}, 7])
def test_events_of_another_shape_are_this_tickers_failure(tmp_path: Path, events: Any) -> None:
    body = json.loads(chart([stamp(day) for day in DAYS]))
    body["chart"]["result"][0]["events"] = events
    batch = read(tmp_path, json.dumps(body).encode())
    if events in ([], {"dividends": []}):
        assert (batch.bars.num_rows, batch.actions.num_rows) in {(len(DAYS), 0), (0, 0)}
    else:
        [(ticker, words)] = batch.missing
        assert ticker == "ODD"
        assert batch.bars.num_rows == 0
        assert words.count("\n") == 0


def test_days_stamped_in_the_evening_before_are_their_own(tmp_path: Path) -> None:
    """Around a change to summer time a midnight becomes 23:00 of the day before."""
    sessions = exchange_sessions("BVMF", date(2024, 5, 2), date(2024, 6, 10))["session"].to_pylist()
    stamps = [stamp(day, SAO_PAULO, 10, 0) for day in sessions]
    for early in range(4, 10):
        stamps[early] = stamp(sessions[early], SAO_PAULO, 0, 0) - 3600 * (1 + early % 2)
    batch = read(tmp_path, chart(stamps, zone=SAO_PAULO), zone=SAO_PAULO, exchange="BVMF")
    assert batch.bars["session"].to_pylist() == sessions
    assert refused(batch) == {}


def test_withdrawn_action_does_not_come_back_by_replay(tmp_path: Path) -> None:
    stamps = [stamp(day) for day in DAYS]
    before, after = chart(stamps, dividends={stamp(EX_DATE): 0.5}), chart(stamps)
    assert told(read(tmp_path, before, after)) == {}
    assert told(read(tmp_path, after, before)) == {("dividend", EX_DATE): 0.5}


def test_action_its_source_no_longer_gives_is_a_former_vintage(lake: Lake) -> None:
    def publish(actions: list[dict[str, Any]], at: datetime, *, tells: bool = True) -> Any:
        batch = PriceBatch(
            bars=pa.Table.from_pylist(quotes(100.0), schema=BARS),
            actions=pa.Table.from_pylist(actions, schema=ACTIONS),
            tells_actions=tells,
        )
        return publish_prices(lake, batch, now=at)

    split = action("split", 2.0)
    publish([split], NOW)
    assert publish([], NOW + timedelta(days=1), tells=False).withdrawn.num_rows == 0, "an archive"
    gone = publish([], NOW + timedelta(days=1)).withdrawn.to_pylist()
    assert [(row["ticker"], row["kind"], row["value"]) for row in gone] == [("ODD", "split", 2.0)]
    assert lake.sql("SELECT count(*) AS n FROM actions")["n"].to_pylist() == [0]
    assert publish([], NOW + timedelta(days=2)).withdrawn.num_rows == 0, "told once"
    publish([split], NOW + timedelta(days=3))
    found = lake.sql(
        "SELECT vintage, 'now' AS at FROM actions "
        "UNION ALL SELECT vintage, 'was' FROM action_revisions"
    ).to_pylist()
    assert sorted((row["vintage"], row["at"]) for row in found) == [(1, "was"), (2, "now")]
    for days, known in ((0.5, [1]), (2, []), (4, [2])):
        asof = {"tickers": None, "asof": NOW + timedelta(days=days)}
        assert [row["vintage"] for row in lake.read("actions_known", asof).to_pylist()] == known


def quotes(price: float, halved_from: date | None = None) -> list[dict[str, Any]]:
    """Bars as traded, a little higher every day, halved from a day on."""
    rows = []
    for number, day in enumerate(DAYS):
        close = price * (1 + 0.002 * number) / (2 if halved_from and day >= halved_from else 1)
        rows.append({
            "ticker": "ODD", "session": day, "open": close, "high": close * 1.01,
            "low": close * 0.99, "close": close, "volume": 1000 + number, "vendor_adj_close": close,
            "basis_date": day, "source": "yahoo", "payload_id": "p",
        })  # fmt: skip
    return rows


def action(kind: str, value: float, day: date = EX_DATE) -> dict[str, Any]:
    return {
        "ticker": "ODD", "ex_date": day, "kind": kind, "value": value, "basis_date": day,
        "source": "yahoo", "payload_id": "p",
    }  # fmt: skip


def judged(bars: list[dict[str, Any]], *actions: dict[str, Any]) -> list[str]:
    """The reasons for which actions are refused beside bars."""
    candidates = pa.Table.from_pylist(list(actions), schema=ACTIONS)
    candidates = candidates.append_column("foreign", pa.array([False] * len(actions)))
    with scratch() as engine:
        _, bad = validate_actions(
            candidates,
            NO_CALENDAR,
            pa.Table.from_pylist(bars, schema=BARS),
            ACTIONS.empty_table(),
            PriceRules(),
            engine,
        )
    return bad["reason"].to_pylist()


@settings(max_examples=40, deadline=None, database=None)
@given(
    price=st.floats(0.5, 5000),
    at=st.integers(2, len(DAYS) - 2),
    share=st.floats(0.0005, 0.9),
    unit=st.sampled_from([100.0, 1000.0]),
)
def test_dividends_are_believed_when_the_price_falls_by_them_and_not_in_another_unit(
    price: float, at: int, share: float, unit: float
) -> None:
    day = DAYS[at]
    bars = quotes(price)
    paid = share * bars[at - 1]["close"]
    for row in bars[at:]:
        row.update({name: row[name] * (1 - share) for name in ("open", "high", "low", "close")})
    assert judged(bars, action("dividend", paid, day)) == []
    usual = [action("dividend", paid / unit, other) for other in DAYS if other != day][:3]
    if share > 0.03:
        assert judged(quotes(price), action("dividend", paid, day), *usual), "no such fall"


@settings(max_examples=20, deadline=None, database=None)
@given(ratio=st.sampled_from([2.0, 3.0, 10.0, 0.5, 0.1, 0.05]), at=st.integers(2, len(DAYS) - 2))
def test_split_of_prices_as_traded_needs_its_step(ratio: float, at: int) -> None:
    bars = quotes(100.0)
    assert judged(bars, action("split", ratio, DAYS[at])) == [
        "no step of the price explains the split"
    ]
    for row in bars[at:]:
        row.update({name: row[name] / ratio for name in ("open", "high", "low", "close")})
    assert judged(bars, action("split", ratio, DAYS[at])) == []
    assert judged(bars, action("split", 1 / ratio, DAYS[at])), "upside down"


MAPPING = ActionMapping(source="file")
LAYOUTS = {
    "ticker,date,kind,value\nODD,{day},split,{ratio}\n": {},
    "Date,Stock Splits\n{day},{ratio}\n": {"constants": {"ticker": "ODD"}},
    "Date,Dividends,Stock Splits\n{day},0,{ratio}\n": {"constants": {"ticker": "ODD"}},
    '[{{"ticker": "ODD", "date": "{day}", "split": "{ratio}"}}]': {"split": "split"},
}


@pytest.mark.parametrize("ratio", ["2", "2.0", "2:1", "2/1", "2-for-1", "4 for 2"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=["long", "splits", "yfinance", "json"])
def test_splits_are_read_however_they_are_written(layout: str, ratio: str, tmp_path: Path) -> None:
    path = tmp_path / ("splits.json" if layout.startswith("[") else "splits.csv")
    path.write_text(layout.format(day=EX_DATE, ratio=ratio), encoding="utf-8")
    mapping = MAPPING.model_copy(update=LAYOUTS[layout])
    with open_actions(path, mapping, clock=lambda: NOW) as archive:
        batch = archive.batch(Landing(tmp_path / "landing").store)
    assert told(batch) == {("split", EX_DATE): 2.0}
    assert batch.rows == 1


def test_every_row_of_actions_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    lines = [
        "split,2:1",
        "dividend,$0.25",
        "bonus,1",
        "split,abc",
        "split,",
        "dividend,-1",
        "split",
    ]
    rows = [f"ODD,{day},{line}" for day, line in zip(DAYS, lines, strict=False)]
    path.write_text("\n".join(["ticker,date,kind,value", *rows, "ODD,x,split,2", ",,,"]) + "\n")
    with open_actions(path, MAPPING, clock=lambda: NOW) as archive:
        batch = archive.batch(Landing(tmp_path / "landing").store)
    assert batch.rows == batch.actions.num_rows + batch.rejects.num_rows == archive.archive.rows
    assert set(told(batch)) == {("split", DAYS[0]), ("dividend", DAYS[1])}


def test_file_that_names_no_action_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    path.write_text(f"ticker,date,amount\nODD,{EX_DATE},2\n", encoding="utf-8")
    with (
        pytest.raises(ArchiveError, match=r"says neither .* nor .*--map split=COLUMN"),
        open_actions(path, MAPPING, clock=lambda: NOW),
    ):
        pass


def test_splits_imported_first_explain_the_steps_of_prices_as_traded(
    tmp_path: Path, lake: Lake
) -> None:
    """Without them the step is refused, as an unapplied split."""
    path, land = tmp_path / "prices.csv", Landing(tmp_path / "landing").store
    names = ("ticker", "session", "open", "high", "low", "close", "volume")
    lines = [",".join(str(row[name]) for name in names) for row in quotes(90.0, EX_DATE)]
    path.write_text("\n".join(["ticker,date,open,high,low,close,volume", *lines]) + "\n")
    mapping = PriceMapping(source="file", basis="session")
    calendar = exchange_sessions("XNYS", DAYS[0], date(2024, 6, 30))
    beside = Surroundings("XNYS", {}, {"XNYS": calendar}, lake.read)

    def prices() -> PriceBatch:
        [batch] = read_prices(path, mapping, clock=lambda: NOW, land=land, surroundings=beside)
        return batch

    assert refused(prices()) == {f"ODD@{EX_DATE}": "price jumps like an unapplied split"}
    splits = tmp_path / "splits.csv"
    splits.write_text(f"ticker,date,kind,value\nODD,{EX_DATE},split,2-for-1\n", encoding="utf-8")
    with open_actions(splits, MAPPING, clock=lambda: NOW) as archive:
        publish_prices(lake, archive.batch(land, beside), now=NOW)
    assert refused(prices()) == {}
