"""One ticker's bars and actions: ask the client, land the answer, hold one against the other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from tasks.ingest.prices.validation import CANDIDATES, PriceRules, judge_actions, judge_bars
from tasks.ingest.prices.yahoo_chart import CHART_PATH, read_chart
from tasks.ingest.prices.yahoo_client import ClientAnswer, ask, client_errors
from warehouse.lake.scratch import scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import ACTIONS, BARS, REJECTS, Clock, Land

if TYPE_CHECKING:
    from tasks.ingest.prices.yahoo_transport import Answer, YahooSession


class PriceSpec(BaseModel):
    """Where daily bars come from and how they are read.

    `basis` says which share basis the vendor quotes: "fetch" (splits restated up to the moment of
    the fetch, as Yahoo does) or "session" (as traded on the day). `overlap_sessions` are read again
    before each requested range, to see revisions and to judge the first bar beside its
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


@dataclass(frozen=True, slots=True)
class TickerPrices:
    """What one ticker's request came to: tables as in PriceBatch, or the error instead of bars."""

    ticker: str
    bars: pa.Table
    actions: pa.Table
    rejects: pa.Table
    payloads: tuple[Payload, ...]
    error: str | None


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

    def prices_of(self, ticker: str) -> TickerPrices:
        """Ask, land, reconcile and judge. Raises nothing but what `land` raises."""
        payloads: list[Payload] = []

        def land_answer(answer: Answer) -> None:
            if urlsplit(answer.url).path.startswith(CHART_PATH):
                payload = _payload(answer, self.spec.source, self.clock())
                self.land(payload)
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
            bars, actions, rejects = self._judged(ticker, client, payloads)
        except client_errors() as error:
            return self._without_bars(ticker, payloads, f"{type(error).__name__}: {error}")
        if not bars.num_rows:
            reasons = sorted(set(rejects["reason"].to_pylist())) or ["the answer held no bar"]
            return self._without_bars(ticker, payloads, "; ".join(reasons), actions, rejects)
        return TickerPrices(ticker, bars, actions, rejects, tuple(payloads), None)

    def _without_bars(
        self,
        ticker: str,
        payloads: list[Payload],
        reason: str,
        actions: pa.Table | None = None,
        rejects: pa.Table | None = None,
    ) -> TickerPrices:
        """An empty answer is an error, never "no data"."""
        error = (
            f"No usable bar of {self._symbol(ticker)} from {self.first} to {self.end}: {reason}. "
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

    def _judged(
        self, ticker: str, client: ClientAnswer, payloads: list[Payload]
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
        answered = read_chart(payload.body, self._symbol(ticker), spec.exchange_zone)
        with scratch() as engine:
            found = engine.read("action_candidates", params, client=client.actions)
            actions, bad_actions = judge_actions(found, self.calendar, engine)
            candidates = engine.read("bar_reconcile", params, answered=answered, client=client.bars)
            bars, bad_bars = judge_bars(
                candidates.cast(CANDIDATES),
                actions.filter(pc.equal(actions["kind"], "split")),
                self.calendar,
                spec.rules,
                engine,
                source=spec.source,
                now=payload.fetched_at,
            )
        return bars, actions, pa.concat_tables([bad_bars, bad_actions])


def _payload(answer: Answer, source: str, fetched_at: datetime) -> Payload:
    headers = tuple(pair for pair in answer.headers if pair[0] != "set-cookie")
    return Payload(source, answer.url, answer.status, headers, answer.body, fetched_at)
