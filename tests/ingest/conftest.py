"""A price source for tests: the real client, a real vendor on loopback, a real landing zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sandbox.faults import Fault, FaultPlan
from sandbox.market import Market, bokeh_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tasks.dataset.spec.clock import exchange_sessions
from tasks.ingest.http.retry import PriceLimits, RetryPolicy
from tasks.ingest.prices.fetch import fetch_prices
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.yahoo_transport import yahoo_session
from warehouse.storage.landing import Landing
from warehouse.tables.batches import PriceBatch

AFTER_CLOSE = datetime(2013, 3, 1, 22, 30, tzinfo=UTC)
QUICK = PriceLimits(retry=RetryPolicy(attempts=3, first_wait=0.01, longest_wait=1.2))


@dataclass
class YahooSource:
    """Fetches from a sandbox vendor that lasts until the test ends."""

    folder: Path
    market: Market
    calendar: pa.Table
    stack: ExitStack
    waits: list[float] = field(default_factory=list)
    vendor: SandboxVendor | None = None

    def fetch(
        self,
        tickers: Sequence[str],
        start: date,
        end: date,
        *faults: Fault,
        now: datetime = AFTER_CLOSE,
        **changes: Any,
    ) -> PriceBatch:
        """Start a vendor that commits `faults` at the moment `now`, and ask it."""
        self.vendor = self.stack.enter_context(
            SandboxVendor(self.market, NewsSpec(), now=lambda: now, faults=FaultPlan.of(*faults))
        )
        return self.ask(tickers, (start, end), now=now, **changes)

    def ask(
        self,
        tickers: Sequence[str],
        days: tuple[date, date],
        *,
        now: datetime = AFTER_CLOSE,
        limits: PriceLimits = QUICK,
        ended: Mapping[str, date] | None = None,
        first_known: Mapping[str, date] | None = None,
        **changes: Any,
    ) -> PriceBatch:
        """Ask the vendor that is already running."""
        assert self.vendor is not None
        spec = PriceSpec(source="sandbox", basis="session", cache=self.folder / "yfinance")
        session = yahoo_session(
            self.vendor.base_url, limits, clock=lambda: now, sleep=self.waits.append
        )
        with session:
            return fetch_prices(
                tickers,
                *days,
                spec.model_copy(update={"overlap_sessions": 0, "timeout": 60.0} | changes),
                session=session,
                clock=lambda: now,
                land=Landing(self.folder / "landing").store,
                calendar=self.calendar,
                first_known=first_known,
                ended=ended,
            )

    def charts_requested(self, ticker: str) -> int:
        """How many chart requests for `ticker` the running vendor has answered."""
        assert self.vendor is not None
        path = f"/v8/finance/chart/{ticker}"
        return sum(served.request.path == path for served in self.vendor.requests)


@pytest.fixture(scope="session")
def bokeh() -> Market:
    """The five real histories."""
    return bokeh_market()


@pytest.fixture(scope="session")
def exchange_calendar() -> pa.Table:
    """The New York sessions of the real histories."""
    return exchange_sessions("XNYS", date(2000, 1, 3), date(2013, 12, 31))


@pytest.fixture
def yahoo(tmp_path: Path, bokeh: Market, exchange_calendar: pa.Table) -> Iterator[YahooSource]:
    """A source with its vendor, landing zone and client cache in a folder of its own."""
    with ExitStack() as stack:
        yield YahooSource(tmp_path, bokeh, exchange_calendar, stack)
