"""Publishing prices: idempotence, vintages, share bases, conflicts between sources."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from warehouse.lake import Lake
from warehouse.storage.landing import Payload
from warehouse.tables.batches import ACTIONS, BARS, PARTITIONS, REJECTS, PriceBatch, PublishError
from warehouse.tables.prices import PricePublication, publish_prices

MONDAY = datetime(2020, 8, 24, 22, tzinfo=UTC)
TUESDAY = datetime(2020, 9, 1, 22, tzinfo=UTC)


def bar(session: date, close: float, **changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "ticker": "AAPL", "session": session, "open": close, "high": close, "low": close,
        "close": close, "volume": 1000, "vendor_adj_close": close, "basis_date": session,
        "source": "yahoo", "payload_id": "p1",
    }  # fmt: skip
    return row | changes


def split(ex_date: date, value: float) -> dict[str, object]:
    return {
        "ticker": "AAPL", "ex_date": ex_date, "kind": "split", "value": value,
        "basis_date": ex_date, "source": "yahoo", "payload_id": "p1",
    }  # fmt: skip


def dividend(ex_date: date, value: float, basis_date: date) -> dict[str, object]:
    return split(ex_date, value) | {"kind": "dividend", "basis_date": basis_date}


REJECT = {
    "kind": "bar", "source": "yahoo", "key": "AAPL@2020-08-21", "reason": "null price or volume",
    "record": "{}", "payload_id": "p1",
}  # fmt: skip
DONE = {
    "source": "yahoo", "key": "AAPL", "range_start": date(2020, 8, 20),
    "range_end": date(2020, 8, 24), "state": "done", "rows": 2, "payload_id": "p1", "error": None,
}  # fmt: skip
FAILED = DONE | {"key": "NONE", "state": "failed", "rows": 0, "error": "no bars"}


def publish(
    lake: Lake,
    bars: list[dict[str, object]],
    *,
    actions: list[dict[str, object]] | None = None,
    rejects: list[dict[str, object]] | None = None,
    partitions: list[dict[str, object]] | None = None,
    now: datetime = MONDAY,
) -> PricePublication:
    payload = Payload("yahoo", "https://chart/AAPL", 200, (), b"body", now)
    batch = PriceBatch(
        bars=pa.Table.from_pylist(bars, schema=BARS),
        actions=pa.Table.from_pylist(actions or [], schema=ACTIONS),
        rejects=pa.Table.from_pylist(rejects or [], schema=REJECTS),
        payloads=(payload,),
        partitions=pa.Table.from_pylist(partitions or [], schema=PARTITIONS),
    )
    return publish_prices(lake, batch, now=now)


def rows(lake: Lake, query: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in lake.sql(f"select {query}").to_pylist()]


def test_one_commit_holds_bars_actions_rejects_payloads_and_ledger(lake: Lake) -> None:
    before = lake.snapshot_id()
    outcome = publish(
        lake,
        [bar(date(2020, 8, 20), 10.0), bar(date(2020, 8, 24), 11.0)],
        actions=[split(date(2020, 8, 24), 4.0)],
        rejects=[REJECT],
        partitions=[DONE, FAILED],
    )
    assert outcome == PricePublication(2, 0, 1, 0, 1)
    assert lake.snapshot_id() == before + 1
    tables = ("bars", "actions", "quarantine", "payloads", "partitions where state = 'failed'")
    assert [rows(lake, f"count(*) n from {table}") for table in tables] == [
        [(count,)] for count in (2, 1, 1, 1, 1)
    ]


def test_rerun_of_the_same_batch_commits_nothing(lake: Lake) -> None:
    day = date(2020, 8, 20)

    def once(now: datetime) -> PricePublication:
        quoted = {"bars": [bar(day, 10.0)], "actions": [dividend(day, 0.5, day)]}
        return publish(lake, **quoted, rejects=[REJECT], partitions=[DONE], now=now)

    once(MONDAY)
    before = lake.snapshot_id()
    assert once(TUESDAY) == PricePublication(0, 0, 0, 0, 0)
    assert lake.snapshot_id() == before


def test_failed_range_counts_its_attempts(lake: Lake) -> None:
    publish(lake, [], partitions=[FAILED])
    publish(lake, [], partitions=[FAILED], now=TUESDAY)
    publish(lake, [], partitions=[FAILED | {"state": "done", "error": None}], now=TUESDAY)
    ledger = rows(lake, "state, attempts, error, updated_at from partitions")
    assert ledger == [("done", 3, None, TUESDAY)]


def test_restated_bar_keeps_its_former_vintage(lake: Lake) -> None:
    session = date(2020, 8, 20)
    publish(lake, [bar(session, 10.0)])
    outcome = publish(lake, [bar(session, 10.25)], now=TUESDAY)
    assert outcome.bars_revised == 1
    assert rows(lake, "close, vintage, recorded_at from bars") == [(10.25, 2, TUESDAY)]
    assert rows(lake, "close, vintage, superseded_at from bar_revisions") == [(10.0, 1, TUESDAY)]


def test_split_restatement_is_not_a_revision(lake: Lake) -> None:
    session, ex_date = date(2020, 8, 20), date(2020, 8, 31)
    quoted = [bar(session, 400.0, basis_date=date(2020, 8, 24))]
    publish(lake, quoted, actions=[dividend(date(2020, 8, 7), 0.82, date(2020, 8, 24))])
    restated = bar(session, 100.0000001, volume=4000, basis_date=date(2020, 9, 1))
    actions = [split(ex_date, 4.0), dividend(date(2020, 8, 7), 0.205, date(2020, 9, 1))]
    outcome = publish(lake, [restated], actions=actions, now=TUESDAY)
    assert outcome == PricePublication(0, 0, 1, 0, 0)
    assert rows(lake, "close, basis_date from bars") == [(400.0, date(2020, 8, 24))]


def test_real_change_is_found_across_a_split(lake: Lake) -> None:
    session, ex_date = date(2020, 8, 20), date(2020, 8, 31)
    publish(lake, [bar(session, 400.0, basis_date=date(2020, 8, 24))])
    changed = bar(session, 100.1, volume=4000, basis_date=date(2020, 9, 1))
    outcome = publish(lake, [changed], actions=[split(ex_date, 4.0)], now=TUESDAY)
    assert outcome.bars_revised == 1


def test_revised_dividend_keeps_its_former_vintage(lake: Lake) -> None:
    ex_date = date(2020, 8, 7)
    publish(lake, [], actions=[dividend(ex_date, 0.82, ex_date)])
    publish(lake, [], actions=[dividend(ex_date, 0.85, ex_date)], now=TUESDAY)
    assert rows(lake, "value, vintage from actions") == [(0.85, 2)]
    assert rows(lake, "value from action_revisions") == [(0.82,)]


def test_second_source_never_overrides_the_first(lake: Lake) -> None:
    session = date(2020, 8, 20)
    publish(lake, [bar(session, 10.0)])
    agreeing = publish(lake, [bar(session, 10.0, source="archive")])
    assert agreeing == PricePublication(0, 0, 0, 0, 0)
    differing = publish(lake, [bar(session, 70.0, source="archive")])
    assert differing == PricePublication(0, 0, 0, 0, 1)
    assert rows(lake, "close, source from bars") == [(10.0, "yahoo")]
    reason = "another source holds this bar with different numbers"
    assert rows(lake, "reason from quarantine") == [(reason,)]


def test_batch_with_a_repeated_key_is_refused_whole(lake: Lake) -> None:
    before = lake.snapshot_id()
    with pytest.raises(PublishError, match="2 rows but 1 distinct"):
        publish(lake, [bar(date(2020, 8, 20), 10.0), bar(date(2020, 8, 20), 10.0)])
    assert lake.snapshot_id() == before


def test_naive_clock_is_refused(lake: Lake) -> None:
    with pytest.raises(PublishError, match="UTC"):
        publish(lake, [], now=datetime(2020, 8, 24))  # noqa: DTZ001
