"""Yahoo as a vendor of daily bars: the client's reading held against the landed bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.ingest.prices.coverage import TradingSpan, trading_span
from tasks.ingest.prices.spec import Basis, PriceSpec, VendorSpec
from tasks.ingest.prices.validation import CANDIDATES
from tasks.ingest.prices.vendor import VendorReading, fetch_date
from tasks.ingest.prices.yahoo import ask, prepare, read_actions, read_chart
from tasks.ingest.prices.yahoo_transport import CHART_PATH
from warehouse.lake.scratch import Scratch
from warehouse.storage.landing import Payload
from warehouse.tables.batches import Clock

if TYPE_CHECKING:
    from tasks.ingest.prices.yahoo_transport import Answer, YahooSession


@dataclass(frozen=True, slots=True)
class YahooVendor:
    """A PriceVendor: one chart request per ticker through the real yfinance client."""

    vendor: VendorSpec
    spec: PriceSpec
    session: YahooSession
    clock: Clock

    @property
    def source(self) -> str:
        """As in the warehouse."""
        return self.vendor.name

    @property
    def basis(self) -> Basis:
        """Yahoo restates splits."""
        return self.vendor.basis or "fetch"

    @property
    def tells_actions(self) -> bool:
        """A chart holds the actions of its days."""
        return True

    def symbol(self, ticker: str) -> str:
        """What Yahoo calls a ticker."""
        return self.vendor.symbols.get(ticker, ticker)

    def span(self, payload: Payload, ticker: str) -> TradingSpan:
        """What the meta of a chart says."""
        return trading_span(payload.body, self.symbol(ticker), self.spec.exchange_zone)

    def read(
        self,
        ticker: str,
        first: date,
        last: date,
        engine: Scratch,
        land: Callable[[Payload], None],
    ) -> VendorReading:
        """One chart, and whether the client handed on each of its bars unaltered."""
        zone, symbol, payloads = self.spec.exchange_zone, self.symbol(ticker), list[Payload]()

        def land_answer(answer: Answer) -> None:
            if urlsplit(answer.url).path.startswith(CHART_PATH):
                payload = _payload(answer, self.source, self.clock())
                land(payload)
                payloads.append(payload)

        self.session.require_charts()
        prepare(self.spec.cache)
        client = ask(
            symbol,
            first,
            last,
            zone=zone,
            timeout=self.spec.timeout,
            session=self.session,
            record=land_answer,
        )
        payload = payloads[-1]
        params = {
            "ticker": ticker,
            "payload_id": payload.payload_id,
            "fetched_on": fetch_date(payload, zone) if self.basis == "fetch" else None,
        }
        chart = read_chart(payload.body, symbol, zone)
        candidates = engine.read("bar_reconcile", params, chart=chart, client=client)
        events = read_actions(payload.body, symbol, zone)
        return VendorReading(payload, candidates.cast(CANDIDATES), events)


def _payload(answer: Answer, source: str, fetched_at: datetime) -> Payload:
    headers = tuple(pair for pair in answer.headers if pair[0] != "set-cookie")
    return Payload(source, answer.url, answer.status, headers, answer.body, fetched_at)
