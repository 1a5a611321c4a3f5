"""Daily bars and corporate actions from Yahoo through the real yfinance client.

One chart request per ticker and range. Every answer is landed before the client parses it, and
the client's frame is then held against the landed bytes: a bar that yfinance altered, merged or
dropped never passes for the vendor's. Options that change numbers are off (auto_adjust,
back_adjust, repair, rounding) and keepna is on, so empty bars reach the row rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.prices.ticker import PriceSpec, TickerPrices, TickerReader
from tasks.ingest.prices.yahoo_client import prepare
from warehouse.storage.landing import Payload
from warehouse.tables.batches import PARTITIONS, Clock, Land, PriceBatch

if TYPE_CHECKING:
    from tasks.ingest.prices.yahoo_transport import YahooSession

__all__ = ["PriceSourceError", "PriceSpec", "fetch_prices"]


class PriceSourceError(ValueError):
    """The request for prices makes no sense as it stands; nothing was asked of the vendor."""


def fetch_prices(
    tickers: Sequence[str],
    start: date,
    end: date,
    spec: PriceSpec,
    *,
    session: YahooSession,
    clock: Clock,
    land: Land,
    calendar: pa.Table,
) -> PriceBatch:
    """Bars and actions of `tickers` for the exchange dates start..end, both inclusive.

    `calendar` holds session and close_ts (UTC) of the exchange's sessions and should reach
    `overlap_sessions` before `start`; bars from there on are returned. A ticker without a usable
    bar is asked for again (`passes` times in all) and then listed in `missing`; the others go on.
    Raises PriceSourceError for a request that makes no sense, and whatever `land` raises.
    """
    _require_request(tickers, start, end, calendar)
    prepare(spec.cache)
    first = _overlapped(start, spec.overlap_sessions, calendar)
    reader = TickerReader(first, end, spec, session, clock, land, calendar)
    found: dict[str, TickerPrices] = {}
    payloads: list[Payload] = []
    for _ in range(spec.passes):
        for ticker in [ticker for ticker in tickers if ticker not in found or found[ticker].error]:
            found[ticker] = reader.prices_of(ticker)
            payloads.extend(found[ticker].payloads)
    answers = [found[ticker] for ticker in tickers]
    return PriceBatch(
        bars=pa.concat_tables([answer.bars for answer in answers]),
        actions=pa.concat_tables([answer.actions for answer in answers]),
        rejects=pa.concat_tables([answer.rejects for answer in answers]),
        payloads=tuple(payloads),
        requested=tuple(tickers),
        missing=tuple((answer.ticker, answer.error) for answer in answers if answer.error),
        partitions=_ledger(answers, start, end, spec.source),
    )


def _ledger(answers: list[TickerPrices], start: date, end: date, source: str) -> pa.Table:
    rows = [
        {
            "source": source,
            "key": answer.ticker,
            "range_start": start,
            "range_end": end,
            "state": "failed" if answer.error else "done",
            "rows": pc.sum(pc.greater_equal(answer.bars["session"], start)).as_py() or 0,
            "payload_id": answer.payloads[-1].payload_id if answer.payloads else None,
            "error": answer.error,
        }
        for answer in answers
    ]
    return pa.Table.from_pylist(rows, schema=PARTITIONS)


def _require_request(tickers: Sequence[str], start: date, end: date, calendar: pa.Table) -> None:
    if not tickers or len(set(tickers)) != len(tickers):
        raise PriceSourceError(
            f"Expected at least one ticker and each once, got {list(tickers)}; correct the list."
        )
    if start > end:
        raise PriceSourceError(f"start {start} is after end {end}; swap them.")
    sessions = calendar["session"]
    if not pc.any(pc.and_(pc.greater_equal(sessions, start), pc.less_equal(sessions, end))).as_py():
        raise PriceSourceError(
            f"The calendar has no session from {start} to {end}; ask for a range with a trading "
            "day, or build the calendar further."
        )


def _overlapped(start: date, overlap: int, calendar: pa.Table) -> date:
    """The session `overlap` sessions before `start`, or the earliest one the calendar knows."""
    earlier = pc.unique(calendar["session"].filter(pc.less(calendar["session"], start))).sort()
    if not overlap or not len(earlier):
        return start
    first: date = earlier[-min(overlap, len(earlier))].as_py()
    return first
