"""Daily bars and corporate actions from Yahoo through the real yfinance client.

One chart request per ticker and range. Every answer is landed before the client parses it, and
the client's frame is then compared with the landed bytes: a bar that yfinance altered, merged or
dropped never passes for the vendor's. Options that change numbers are off (auto_adjust,
back_adjust, repair, rounding) and keepna is on, so empty bars reach the row rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from tasks.ingest.prices.coverage import (
    UNKNOWN_SPAN,
    TradingSpan,
    ledger_rows,
    trading_span,
    without_sessions,
)
from tasks.ingest.prices.surroundings import NOTHING_KNOWN, Surroundings
from tasks.ingest.prices.validation import CANDIDATES, PriceRules, validate_actions, validate_bars
from tasks.ingest.prices.yahoo import (
    CHART_PATH,
    ask,
    prepare,
    read_actions,
    read_chart,
)
from tasks.ingest.unreadable import in_one_line
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import ACTIONS, BARS, REJECTS, Clock, Land, PriceBatch

if TYPE_CHECKING:
    from tasks.ingest.prices.yahoo_transport import Answer, YahooSession

A = TypeVar("A")
R = TypeVar("R")


class PriceSourceError(ValueError):
    """The request for prices makes no sense as it stands; nothing was requested."""


class PriceSpec(BaseModel):
    """Where daily bars come from and how they are read.

    `basis` says which share basis the vendor quotes: "fetch" (splits restated up to the moment of
    the fetch, as Yahoo does) or "session" (as traded on the day). `overlap_sessions` are read again
    before each requested range, to see revisions and to validate the first bar beside its
    predecessors. `symbols` maps a ticker to what the vendor calls it. `timeout` is in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = "yahoo"
    basis: Literal["fetch", "session"] = "fetch"
    exchange_zone: str = "America/New_York"
    overlap_sessions: int = Field(default=10, ge=0)
    passes: int = Field(default=2, ge=1)
    timeout: float = Field(default=30.0, gt=0)
    cache: Path = Path("yfinance")
    symbols: dict[str, str] = Field(default_factory=dict)
    rules: PriceRules = PriceRules()


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
    first_known: Mapping[str, date] | None = None,
    surroundings: Surroundings = NOTHING_KNOWN,
) -> PriceBatch:
    """Bars and actions of `tickers` for the exchange dates start..end, both inclusive.

    `calendar` holds session and close_ts (UTC) of the exchange's sessions and should reach
    `overlap_sessions` before `start`; bars from there on are returned. A ticker without a usable
    bar is requested again (`passes` times in all) and then listed in `missing`; the others go on.
    The ledger rows tell which sessions the calendar has between listing and last trade, and which
    of them did not come; `first_known` has the first session on record of each ticker. Bars and
    actions are judged beside what `surroundings` has on record. Without a session in the range
    nothing is requested: it is empty. Raises PriceSourceError for a request
    that makes no sense, and whatever `land` raises.
    """
    _require_request(tickers, start, end, calendar)
    if not _sessions_between(start, end, calendar):
        rows = without_sessions(tickers, start, end, spec.source)
        return PriceBatch(requested=tuple(tickers), partitions=rows)
    prepare(spec.cache)
    first = _overlapped(start, spec.overlap_sessions, calendar)
    known = first_known or {}
    reader = TickerReader(
        first, end, spec, session, clock, land, calendar, known, surroundings=surroundings
    )
    found: dict[str, TickerPrices] = {}
    payloads: list[Payload] = []
    for _ in range(spec.passes):
        for ticker in [ticker for ticker in tickers if ticker not in found or found[ticker].error]:
            found[ticker] = reader.prices_of(ticker)
            payloads.extend(found[ticker].payloads)
    answers = [found[ticker] for ticker in tickers]
    bars = pa.concat_tables([answer.bars for answer in answers])
    rejects = pa.concat_tables([answer.rejects for answer in answers])
    return PriceBatch(
        bars=bars,
        actions=pa.concat_tables([answer.actions for answer in answers]),
        tells_actions=True,
        rejects=rejects,
        payloads=tuple(payloads),
        requested=tuple(tickers),
        missing=tuple((answer.ticker, answer.error) for answer in answers if answer.error),
        partitions=ledger_rows(
            [_ledger_answer(answer, known) for answer in answers],
            bars,
            rejects,
            calendar,
            (start, end),
            source=spec.source,
            today=clock().astimezone(ZoneInfo(spec.exchange_zone)).date(),
        ),
    )


def _ledger_answer(answer: TickerPrices, known: Mapping[str, date]) -> dict[str, object]:
    return {
        "ticker": answer.ticker,
        "listed": answer.span.first,
        "last_traded": answer.span.last,
        "first_known": known.get(answer.ticker),
        "vacant": answer.span.vacant,
        "payload_id": answer.payloads[-1].payload_id if answer.payloads else None,
        "error": answer.error,
    }


def _require_request(tickers: Sequence[str], start: date, end: date, calendar: pa.Table) -> None:
    if not tickers or len(set(tickers)) != len(tickers):
        raise PriceSourceError(
            f"Expected at least one ticker and each once, got {list(tickers)}; correct the list."
        )
    if start > end:
        raise PriceSourceError(f"start {start} is after end {end}; swap them.")
    span = pc.min_max(calendar["session"]).as_py()
    if span["min"] is None or end < span["min"] or start > span["max"]:
        raise PriceSourceError(
            f"The calendar has no session from {start} to {end}: it holds {span['min']} to "
            f"{span['max']}. Build the calendar further, or ask for days it holds."
        )


def _sessions_between(start: date, end: date, calendar: pa.Table) -> bool:
    sessions = calendar["session"]
    within = pc.and_(pc.greater_equal(sessions, start), pc.less_equal(sessions, end))
    return bool(pc.any(within).as_py())


def _overlapped(start: date, overlap: int, calendar: pa.Table) -> date:
    """The session `overlap` sessions before `start`, or the earliest one the calendar knows."""
    earlier = pc.unique(calendar["session"].filter(pc.less(calendar["session"], start))).sort()
    if not overlap or not len(earlier):
        return start
    first: date = earlier[-min(overlap, len(earlier))].as_py()
    return first


@dataclass(frozen=True, slots=True)
class TickerPrices:
    """What one ticker's request came to: tables as in PriceBatch, or the error instead of bars.

    `span`: from when to when the vendor says the ticker traded.
    """

    ticker: str
    bars: pa.Table
    actions: pa.Table
    rejects: pa.Table
    payloads: tuple[Payload, ...]
    error: str | None
    span: TradingSpan = UNKNOWN_SPAN


@dataclass(frozen=True, slots=True)
class TickerReader:
    """Reads one ticker after another over one range of local dates, both ends inclusive."""

    first: date
    end: date
    spec: PriceSpec
    session: YahooSession
    clock: Clock
    land: Land
    calendar: pa.Table
    first_known: Mapping[str, date] = field(default_factory=dict)
    surroundings: Surroundings = NOTHING_KNOWN

    def prices_of(self, ticker: str) -> TickerPrices:
        """Ask, land, reconcile and validate.

        Raises nothing but what `land` and the warehouse raise: whatever else goes wrong is this
        ticker's failure.
        """
        payloads: list[Payload] = []
        own = _OwnWork()

        def land_answer(answer: Answer) -> None:
            if urlsplit(answer.url).path.startswith(CHART_PATH):
                payload = _payload(answer, self.spec.source, self.clock())
                own.done(self.land, payload)
                payloads.append(payload)

        try:
            client = ask(
                self._symbol(ticker),
                self.first,
                self.end,
                zone=self.spec.exchange_zone,
                timeout=self.spec.timeout,
                session=self.session,
                record=land_answer,
            )
            bars, actions, rejects = self._validated(ticker, client, payloads, own)
        except Exception as error:
            if own.failure is not None:
                raise own.failure from None
            return self._without_bars(ticker, payloads, in_one_line(error))
        if not bars.num_rows:
            reasons = sorted(set(rejects["reason"].to_pylist())) or ["the answer held no bar"]
            return self._without_bars(ticker, payloads, "; ".join(reasons), actions, rejects)
        span = trading_span(payloads[-1].body, self._symbol(ticker), self.spec.exchange_zone)
        return TickerPrices(ticker, bars, actions, rejects, tuple(payloads), None, span)

    def _without_bars(
        self,
        ticker: str,
        payloads: list[Payload],
        reason: str,
        actions: pa.Table | None = None,
        rejects: pa.Table | None = None,
    ) -> TickerPrices:
        """An empty answer is an error, unless the ticker did not trade in all of the range."""
        symbol, span = self._symbol(ticker), UNKNOWN_SPAN
        if payloads:
            span = trading_span(payloads[-1].body, symbol, self.spec.exchange_zone)
            today = payloads[-1].fetched_at.astimezone(ZoneInfo(self.spec.exchange_zone)).date()
            span = span.beginning(self.first_known.get(ticker))
            if span.lies_outside(self.first, self.end, today) and not (rejects or ()):
                nothing = (BARS.empty_table(), ACTIONS.empty_table(), REJECTS.empty_table())
                return TickerPrices(ticker, *nothing, tuple(payloads), None, span)
        error = (
            f"No usable bar of {symbol} from {self.first} to {self.end}: {reason}. "
            "Check the symbol, declare a rename in symbols, or run again later."
        )
        return TickerPrices(
            ticker,
            BARS.empty_table(),
            actions or ACTIONS.empty_table(),
            rejects or REJECTS.empty_table(),
            tuple(payloads),
            error,
        )

    def _symbol(self, ticker: str) -> str:
        return self.spec.symbols.get(ticker, ticker)

    def _validated(
        self, ticker: str, client: pa.Table, payloads: list[Payload], own: _OwnWork
    ) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Good bars, good actions and rejects of the last answer."""
        spec, payload = self.spec, payloads[-1]
        fetched_on = payload.fetched_at.astimezone(ZoneInfo(spec.exchange_zone)).date()
        params = {
            "ticker": ticker,
            "source": spec.source,
            "payload_id": payload.payload_id,
            "fetched_on": fetched_on if spec.basis == "fetch" else None,
        }
        symbol = self._symbol(ticker)
        chart = read_chart(payload.body, symbol, spec.exchange_zone)
        events = read_actions(payload.body, symbol, spec.exchange_zone)
        with scratch() as engine:
            candidates = engine.read("bar_reconcile", params, chart=chart, client=client)
            stored, splits = own.done(self.surroundings.around, candidates)
            found = engine.read("action_candidates", params, events=events)
            told, _ = validate_actions(found, self.calendar, stored, splits, spec.rules, engine)
            told = told.filter(pc.equal(told["kind"], "split"))
            bars, bad_bars = validate_bars(
                candidates.cast(CANDIDATES),
                engine.read("splits_merged", told=told, stored=splits),
                self.calendar,
                spec.rules,
                engine,
                source=spec.source,
                now=payload.fetched_at,
                context=stored,
                ordered=True,
            )
            around = pa.concat_tables([bars, stored])
            actions, bad_actions = validate_actions(
                found, self.calendar, around, splits, spec.rules, engine
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


def _payload(answer: Answer, source: str, fetched_at: datetime) -> Payload:
    headers = tuple(pair for pair in answer.headers if pair[0] != "set-cookie")
    return Payload(source, answer.url, answer.status, headers, answer.body, fetched_at)
