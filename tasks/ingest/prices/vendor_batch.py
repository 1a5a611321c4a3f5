"""What one vendor gives for one request set: tables, rejects, payloads and ledger rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.prices.coverage import ledger_rows
from tasks.ingest.prices.reader import TickerPrices, TickerReader
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.surroundings import Surroundings
from tasks.ingest.prices.vendor import PriceVendor
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import Clock, Land, PriceBatch


@dataclass(frozen=True, slots=True)
class VendorFetch:
    """Fetches of one run; the fields are as for `fetch_prices`."""

    spec: PriceSpec
    clock: Clock
    land: Land
    calendar: pa.Table
    first_known: Mapping[str, date]
    surroundings: Surroundings
    ended: Mapping[str, date] = field(default_factory=dict)

    def knowing(self, splits: pa.Table) -> VendorFetch:
        """The same with more splits (ACTIONS) to judge by: those that another vendor has told."""
        return replace(self, surroundings=self.surroundings.with_splits(splits))

    def batch(
        self, vendor: PriceVendor, tickers: Sequence[str], days: tuple[date, date]
    ) -> PriceBatch:
        """What `vendor` gives of `tickers` for the inclusive exchange dates `days`."""
        spec, known = self.spec, self.first_known
        reader = TickerReader(
            overlapped(days[0], spec.overlap_sessions, self.calendar),
            days[1],
            vendor,
            spec.exchange_zone,
            spec.rules,
            self.land,
            self.calendar,
            known,
            surroundings=self.surroundings.about(tickers),
            ended=self.ended,
        )
        found: dict[str, TickerPrices] = {}
        payloads: list[Payload] = []
        # To open an engine takes 24 ms of CPU, a seventh of a daily run if each ticker has its own.
        with scratch() as engine:
            for _ in range(spec.passes):
                for ticker in [one for one in tickers if one not in found or found[one].failed]:
                    found[ticker] = reader.prices_of(ticker, engine)
                    payloads.extend(found[ticker].payloads)
        answers = [found[ticker] for ticker in tickers]
        bars = pa.concat_tables([answer.bars for answer in answers])
        rejects = pa.concat_tables([answer.rejects for answer in answers])
        return PriceBatch(
            bars=bars,
            actions=pa.concat_tables([answer.actions for answer in answers]),
            tells_actions=vendor.tells_actions,
            rejects=rejects,
            payloads=tuple(payloads),
            requested=tuple(tickers),
            missing=tuple(
                (answer.ticker, answer.error)
                for answer in answers
                if answer.error and answer.failed
            ),
            partitions=ledger_rows(
                [_ledger_answer(answer, known, self.ended) for answer in answers],
                bars,
                rejects,
                self.calendar,
                days,
                source=vendor.source,
                today=self.clock().astimezone(ZoneInfo(spec.exchange_zone)).date(),
            ),
        )


def _ledger_answer(
    answer: TickerPrices, known: Mapping[str, date], ended: Mapping[str, date]
) -> dict[str, object]:
    return {
        "ticker": answer.ticker,
        "listed": answer.span.first,
        "last_traded": answer.span.last,
        "first_known": known.get(answer.ticker),
        "vacant": answer.span.vacant,
        "ended": ended.get(answer.ticker),
        "gone": answer.gone,
        "payload_id": answer.payloads[-1].payload_id if answer.payloads else None,
        "error": answer.error,
    }


def overlapped(start: date, overlap: int, calendar: pa.Table) -> date:
    """The session `overlap` sessions before `start`, or the earliest one the calendar knows."""
    earlier = pc.unique(calendar["session"].filter(pc.less(calendar["session"], start))).sort()
    if not overlap or not len(earlier):
        return start
    first: date = earlier[-min(overlap, len(earlier))].as_py()
    return first
