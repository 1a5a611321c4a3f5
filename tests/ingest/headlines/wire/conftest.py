"""A feed for tests: the real client, a real vendor on loopback that misbehaves on demand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.faults import Fault, FaultPlan
from sandbox.market import bokeh_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import fetch_headlines
from tasks.ingest.http.client import feed_client
from tasks.ingest.http.retry import FeedLimits, RetryPolicy
from warehouse.lake import Lake
from warehouse.storage.landing import Landing
from warehouse.tables.batches import HeadlineBatch
from warehouse.tables.headlines import HeadlinePublication, publish_headlines

TICKERS = ("AAPL", "MSFT")
FEED = FeedSpec(
    name="sandbox-rss",
    url="https://feeds.finance.yahoo.com/rss/2.0/headline?s={ticker}",
    synthetic=True,
)
LIMITS = FeedLimits(
    retry=RetryPolicy(attempts=3, first_wait=0.01, longest_wait=30), deadline=timedelta(seconds=60)
)


@dataclass
class Wire:
    """A vendor per set of faults, queried for the headlines of two tickers; the faults hit AAPL."""

    landing: Landing
    stack: ExitStack
    waits: list[float] = field(default_factory=list)
    vendor: SandboxVendor | None = None
    now: datetime = datetime(2013, 2, 28, 12, tzinfo=UTC)
    feed: FeedSpec = FEED

    def fetch(self, *faults: Fault, **limits: Any) -> HeadlineBatch:
        plan = FaultPlan.of(*(fault.model_copy(update={"ticker": "AAPL"}) for fault in faults))
        self.vendor = self.stack.enter_context(
            SandboxVendor(bokeh_market(), NewsSpec(), now=lambda: self.now, faults=plan)
        )
        return self.ask(**limits)

    def ask(
        self, *, now: datetime | None = None, cached: Any = None, **limits: Any
    ) -> HeadlineBatch:
        """Ask the vendor that is already running."""
        moment = now or self.now
        assert self.vendor is not None
        bounds = LIMITS.model_copy(update=limits)
        with feed_client(self.vendor.base_url, bounds, sleep=self.waits.append) as client:
            return fetch_headlines(
                self.feed,
                TICKERS,
                moment.date(),
                moment.date(),
                client=client,
                clock=lambda: moment,
                land=self.landing.store,
                cached=cached,
            )

    def publish(
        self, lake: Lake, batch: HeadlineBatch, now: datetime | None = None
    ) -> HeadlinePublication:
        """Publish a batch as the flows do."""
        return publish_headlines(lake, batch, now=now or self.now)

    def counts(self, batch: HeadlineBatch) -> dict[str, int]:
        """Headlines per ticker."""
        tickers = batch.headline_tickers.column("ticker").to_pylist()
        return {ticker: tickers.count(ticker) for ticker in TICKERS}

    def titles(self, batch: HeadlineBatch) -> list[str]:
        """The titles in order of publication."""
        return [str(title) for title in batch.headlines.column("title").to_pylist()]

    def error_of(self, batch: HeadlineBatch) -> str:
        """The error recorded for AAPL; MSFT must have been served in full all the same."""
        outcome = {row["key"]: row for row in batch.partitions.to_pylist()}
        assert outcome["MSFT"]["state"] == "done"
        assert self.counts(batch) == {"AAPL": 0, "MSFT": 20}
        assert outcome["AAPL"]["state"] == "failed"
        return str(outcome["AAPL"]["error"])


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with ExitStack() as stack:
        yield Wire(Landing(tmp_path / "landing"), stack)
