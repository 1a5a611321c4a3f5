"""Completeness of price answers: sessions expected by calendar and listing against those received.

A ticker is expected to have a bar on every session between its listing and its last trade. What the
vendor says of the two is in every chart's `meta`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from warehouse.lake.scratch import scratch
from warehouse.tables.batches import PARTITIONS

SETTLED = timedelta(days=14)
"""So long after its last trade a ticker is taken to have stopped trading; a bar may come late."""

_NOTHING_THERE = "Data doesn't exist for startDate"

_ANSWERS = pa.schema(
    [
        ("ticker", pa.string()),
        ("listed", pa.date32()),
        ("last_traded", pa.date32()),
        ("first_known", pa.date32()),
        ("vacant", pa.bool_()),
        ("ended", pa.date32()),
        ("gone", pa.bool_()),
        ("payload_id", pa.string()),
        ("error", pa.string()),
        ("position", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class TradingSpan:
    """The exchange dates of a ticker's first and last trade, as far as the vendor tells.

    `vacant`: it knows the symbol, has nothing in the range, and does not say since when it trades.
    """

    first: date | None = None
    last: date | None = None
    vacant: bool = False

    def beginning(self, first_known: date | None) -> TradingSpan:
        """This span, beginning with the first session on record when the vendor names none."""
        if self.first is not None or first_known is None:
            return self
        return replace(self, first=first_known)

    def lies_outside(self, start: date, end: date, today: date) -> bool:
        """Whether the ticker cannot have traded from `start` to `end`, both inclusive."""
        if self.first is not None and self.first > end:
            return True
        ended = self.last is not None and self.last < min(start, today - SETTLED)
        return ended or (self.vacant and self.first is None)


UNKNOWN_SPAN = TradingSpan()


def trading_span(body: bytes, symbol: str, zone: str) -> TradingSpan:
    """What a landed chart answer says of when `symbol` traded; unknown for any other answer.

    Dates are local to `zone`, an IANA name.
    """
    try:
        chart = json.loads(body)["chart"]
        if not chart.get("result"):
            words = str((chart.get("error") or {}).get("description", ""))
            return TradingSpan(vacant=words.startswith(_NOTHING_THERE))
        meta = chart["result"][0]["meta"]
        if str(meta.get("symbol", "")).upper() != symbol.upper():
            return UNKNOWN_SPAN
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return UNKNOWN_SPAN
    first, last = (
        _local_date(meta.get(name), zone) for name in ("firstTradeDate", "regularMarketTime")
    )
    return TradingSpan(first, last)


def ledger_rows(
    answers: Sequence[dict[str, object]],
    bars: pa.Table,
    rejects: pa.Table,
    calendar: pa.Table,
    days: tuple[date, date],
    *,
    source: str,
    today: date,
) -> pa.Table:
    """The PARTITIONS of one request, one row per answer, in order.

    An answer has ticker, listed, last_traded, first_known, vacant, ended, gone, payload_id and
    error (see `bar_ledger`); `days` are the inclusive dates requested, `today` the exchange's date.
    """
    rows = [{**answer, "position": at} for at, answer in enumerate(answers)]
    with scratch() as engine:
        ledger = engine.read(
            "bar_ledger",
            {
                "source": source,
                "start": days[0],
                "end": days[1],
                "today": today,
                "settled": SETTLED.days,
            },
            answers=pa.Table.from_pylist(rows, schema=_ANSWERS),
            bars=bars.select(["ticker", "session"]),
            rejects=rejects.select(["kind", "key", "reason"]),
            calendar=calendar.select(["session"]),
        )
    return ledger.select(PARTITIONS.names).cast(PARTITIONS)


def without_sessions(tickers: Sequence[str], start: date, end: date, source: str) -> pa.Table:
    """The PARTITIONS of a range in which the exchange rests: empty, and not asked for again."""
    row = {
        "source": source, "range_start": start, "range_end": end, "state": "empty", "rows": 0,
        "expected": 0, "received": 0, "again": False,
    }  # fmt: skip
    return pa.Table.from_pylist([{**row, "key": ticker} for ticker in tickers], schema=PARTITIONS)


def _local_date(stamp: object, zone: str) -> date | None:
    if not isinstance(stamp, int | float):
        return None
    try:
        return datetime.fromtimestamp(stamp, UTC).astimezone(ZoneInfo(zone)).date()
    except (ValueError, OverflowError, OSError):
        return None
