"""One ticker's answer: asked for, landed, read and validated, or the error instead of bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.http.retry import HostGivenUpError
from tasks.ingest.prices.coverage import SETTLED, UNKNOWN_SPAN, TradingSpan
from tasks.ingest.prices.surroundings import NOTHING_KNOWN, Surroundings
from tasks.ingest.prices.validation import PriceRules, validate_actions, validate_bars
from tasks.ingest.prices.vendor import PriceVendor, VendorReading, fetch_date
from tasks.ingest.unreadable import in_one_line
from warehouse.lake.scratch import Scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import ACTIONS, BARS, REJECTS, Land

A = TypeVar("A")
R = TypeVar("R")
_ANSWERED = (200, 400, 404)
"""Statuses of a vendor that tells what it has; others tell of the moment or of the client."""


@dataclass(frozen=True, slots=True)
class TickerPrices:
    """What one ticker's request came to: tables as in PriceBatch, or the error instead of bars.

    `span`: from when to when the vendor says the ticker traded. `gone`: the vendor no longer knows
    a ticker that left a dated universe; then `error` has its words.
    """

    ticker: str
    bars: pa.Table
    actions: pa.Table
    rejects: pa.Table
    payloads: tuple[Payload, ...]
    error: str | None
    span: TradingSpan = UNKNOWN_SPAN
    gone: bool = False

    @property
    def failed(self) -> bool:
        """Whether the request came to nothing and should have come to something."""
        return self.error is not None and not self.gone


@dataclass(frozen=True, slots=True)
class TickerReader:
    """Reads one ticker after another over one range of local dates, both ends inclusive.

    `zone` is the exchange's time zone, an IANA name.
    """

    first: date
    end: date
    vendor: PriceVendor
    zone: str
    rules: PriceRules
    land: Land
    calendar: pa.Table
    first_known: Mapping[str, date] = field(default_factory=dict)
    surroundings: Surroundings = NOTHING_KNOWN
    ended: Mapping[str, date] = field(default_factory=dict)

    def prices_of(self, ticker: str, engine: Scratch) -> TickerPrices:
        """Ask, land, reconcile and validate. One engine serves any number of tickers.

        Raises nothing but what `land` and the warehouse raise: whatever else goes wrong is this
        ticker's failure.
        """
        payloads: list[Payload] = []
        own = _OwnWork()

        def land(payload: Payload) -> None:
            own.done(self.land, payload)
            payloads.append(payload)

        try:
            reading = self.vendor.read(ticker, self.first, self.end, engine, land)
            bars, actions, rejects = self._validated(ticker, reading, own, engine)
        except HostGivenUpError as error:
            nothing = (BARS.empty_table(), ACTIONS.empty_table(), REJECTS.empty_table())
            return TickerPrices(ticker, *nothing, tuple(payloads), str(error))
        except Exception as error:
            if own.failure is not None:
                raise own.failure from None
            return self._without_bars(ticker, payloads, in_one_line(error))
        if not bars.num_rows:
            reasons = sorted(set(rejects["reason"].to_pylist())) or ["the answer held no bar"]
            return self._without_bars(ticker, payloads, "; ".join(reasons), actions, rejects)
        span = self.vendor.span(payloads[-1], ticker)
        return TickerPrices(ticker, bars, actions, rejects, tuple(payloads), None, span)

    def _without_bars(
        self,
        ticker: str,
        payloads: list[Payload],
        reason: str,
        actions: pa.Table | None = None,
        rejects: pa.Table | None = None,
    ) -> TickerPrices:
        """An empty answer is an error, unless the ticker did not trade in all of the range.

        Nor is it one of a ticker whose membership ended long enough ago, if the vendor answered.
        """
        gone = False
        if payloads:
            span = self.vendor.span(payloads[-1], ticker)
            span = span.beginning(self.first_known.get(ticker))
            today = fetch_date(payloads[-1], self.zone)
            if span.lies_outside(self.first, self.end, today) and not (rejects or ()):
                nothing = (BARS.empty_table(), ACTIONS.empty_table(), REJECTS.empty_table())
                return TickerPrices(ticker, *nothing, tuple(payloads), None, span)
            ended = self.ended.get(ticker, date.max)
            answered = payloads[-1].status in _ANSWERED and not (rejects or ())
            gone = answered and ended < today - SETTLED
        error = (
            f"No usable bar of {self.vendor.symbol(ticker)} from {self.first} to {self.end}: "
            f"{reason}. Check the symbol, declare a rename in symbols, or run again later."
        )
        return TickerPrices(
            ticker,
            BARS.empty_table(),
            actions or ACTIONS.empty_table(),
            rejects or REJECTS.empty_table(),
            tuple(payloads),
            error,
            gone=gone,
        )

    def _validated(
        self, ticker: str, reading: VendorReading, own: _OwnWork, engine: Scratch
    ) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Good bars, good actions and rejects of one answer."""
        payload, candidates = reading.payload, reading.candidates
        params = {
            "ticker": ticker,
            "source": self.vendor.source,
            "payload_id": payload.payload_id,
            "fetched_on": fetch_date(payload, self.zone) if self.vendor.basis == "fetch" else None,
        }
        stored, splits = own.done(self.surroundings.around, candidates)
        found = engine.read("action_candidates", params, events=reading.events)
        told, _ = validate_actions(found, self.calendar, stored, splits, self.rules, engine)
        told = told.filter(pc.equal(told["kind"], "split"))
        bars, bad_bars = validate_bars(
            candidates,
            engine.read("splits_merged", told=told, stored=splits),
            self.calendar,
            self.rules,
            engine,
            source=self.vendor.source,
            now=payload.fetched_at,
            context=stored,
            ordered=True,
        )
        around = pa.concat_tables([bars, stored])
        actions, bad_actions = validate_actions(
            found, self.calendar, around, splits, self.rules, engine
        )
        return bars, actions, pa.concat_tables([bad_bars, bad_actions])


@dataclass(slots=True)
class _OwnWork:
    """Tells what fails here from what an answer is to blame for: no ticker fails for a full disk.

    The client between may wrap or reword whatever passes through it.
    """

    failure: Exception | None = None

    def done(self, work: Callable[[A], R], given: A) -> R:
        """The result of `work`; its failure is kept."""
        try:
            return work(given)
        except Exception as error:
            self.failure = error
            raise
