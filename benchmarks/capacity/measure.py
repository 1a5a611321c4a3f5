"""What a ticker-year and a million headlines cost: python -m benchmarks.capacity.measure

The real path: a vendor on loopback (its own work is counted too, so the truth is a little better),
landing, parsing, publishing, examples, data set. CPU seconds are of the whole process, whatever
else the machine is doing; bytes are what lies on disk afterwards.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from sandbox.market import synthetic_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tasks.dataset.build import assemble_dataset
from tasks.dataset.spec.clock import calendar_version, calendar_years, exchange_sessions
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.ingest.headlines.feeds import FeedSpec
from tasks.ingest.headlines.fetch import fetch_headlines
from tasks.ingest.http.client import feed_client
from tasks.ingest.http.retry import FeedLimits
from tasks.ingest.prices.fetch import fetch_prices
from tasks.ingest.prices.spec import PriceSpec
from tasks.ingest.prices.yahoo_transport import yahoo_session
from validation.gate import check
from warehouse.lake import Lake, LakeSpec
from warehouse.ops.maintenance import MaintenanceSpec, maintain
from warehouse.storage.landing import Landing
from warehouse.tables.headlines import join_stories, publish_headlines
from warehouse.tables.prices import publish_prices
from warehouse.tables.sessions import publish_sessions

GROUP = 10
FEED = FeedSpec(
    name="sandbox-search",
    url="https://news.google.com/rss/search?q={ticker}+after:{start}+before:{end}",
    mode="search",
    synthetic=True,
)


@dataclass
class Cost:
    """One step: what it handled, in CPU and wall seconds."""

    step: str
    rows: int = 0
    requests: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


@contextmanager
def measured(costs: list[Cost], step: str) -> Iterator[Cost]:
    cost = Cost(step)
    cpu, wall = time.process_time(), time.perf_counter()
    yield cost
    cost.cpu_seconds = round(time.process_time() - cpu, 2)
    cost.wall_seconds = round(time.perf_counter() - wall, 2)
    costs.append(cost)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Bench:
    """A warehouse of its own, the vendor that fills it, and what has been measured so far."""

    root: Path
    days: tuple[date, date]
    now: datetime
    vendor: SandboxVendor
    lake: Lake
    landing: Landing
    calendar: pa.Table
    names: tuple[str, ...]
    costs: list[Cost]

    def prices(self) -> None:
        """Chart requests, ten tickers a commit."""
        with (
            measured(self.costs, "prices") as cost,
            yahoo_session(self.vendor.base_url, clock=self.clock) as session,
        ):
            for group in self._groups():
                batch = fetch_prices(
                    group,
                    *self.days,
                    PriceSpec(source="sandbox", basis="session", cache=self.root / "yfinance"),
                    session=session,
                    clock=self.clock,
                    land=self.landing.store,
                    calendar=self.calendar,
                )
                self.gate(bars=batch.bars, actions=batch.actions)
                publish_prices(self.lake, batch, now=self.now)
                cost.rows += batch.bars.num_rows
                cost.requests += len(batch.payloads)

    def headlines(self) -> None:
        """Searches of a year each, ten tickers a commit; stories are joined once at the end."""
        with measured(self.costs, "headlines") as cost:
            with feed_client(self.vendor.base_url, FeedLimits()) as client:
                for group in self._groups():
                    batch = fetch_headlines(
                        FEED,
                        group,
                        *self.days,
                        client=client,
                        clock=self.clock,
                        land=self.landing.store,
                    )
                    self.gate(headlines=batch.headlines, headline_tickers=batch.headline_tickers)
                    publish_headlines(self.lake, batch, now=self.now, join=False)
                    cost.rows += batch.headlines.num_rows
                    cost.requests += len(batch.payloads)
            first = datetime.combine(self.days[0], datetime.min.time(), UTC)
            join_stories(self.lake, first, self.now)

    def dataset(self) -> None:
        """Examples, split and files, all at once."""
        place(self.lake, self.names)
        with measured(self.costs, "data set") as cost:
            made = assemble_dataset(self.lake, DatasetSpec(), self.root / "datasets", now=self.now)
            cost.rows = sum(split.rows for split in made.splits.values())

    def upkeep(self) -> None:
        with measured(self.costs, "maintenance"):
            maintain(self.lake, self.landing, MaintenanceSpec(), now=datetime.now(UTC))

    def gate(self, **tables: pa.Table) -> None:
        """Check a batch as the flows do."""
        for suite, table in tables.items():
            if table.num_rows:
                report = check(
                    suite,
                    table,
                    batch="bench",
                    checked_at=self.now,
                    docs_root=self.root / "data_docs",
                )
                report.require()

    def clock(self) -> datetime:
        return self.now

    def _groups(self) -> Iterator[tuple[str, ...]]:
        for first in range(0, len(self.names), GROUP):
            yield self.names[first : first + GROUP]


def measure(tickers: int, years: int, root: Path) -> dict[str, object]:
    days = (date(2013 - years, 1, 2), date(2012, 12, 31))
    now = datetime(2013, 1, 2, 6, tzinfo=UTC)
    market = synthetic_market(tickers, *days)
    margin = timedelta(days=14)
    calendar = exchange_sessions("XNYS", days[0] - margin, days[1] + margin)
    spec = LakeSpec(
        catalog=f"sqlite:{root / 'catalog.sqlite'}",
        storage=str(root / "lake"),
        landing=str(root / "landing"),
        lock=root / "writer.lock",
    )
    costs: list[Cost] = []
    news = NewsSpec(coverage=0.6)
    with SandboxVendor(market, news, now=lambda: now) as vendor, Lake.open(spec) as lake:
        publish_sessions(
            lake, {"XNYS": (days[0], days[1] + margin)}, calendar_years, calendar_version()
        )
        names = tuple(market.tickers)
        landing = Landing.of(spec)
        bench = Bench(root, days, now, vendor, lake, landing, calendar, names, costs)
        sizes = {"": 0}
        for step in (bench.prices, bench.headlines, bench.dataset, bench.upkeep):
            step()
            sizes[step.__name__] = size(root)
    grown = zip(sizes, list(sizes)[1:], strict=False)
    return {
        "ticker_years": tickers * years,
        "steps": [asdict(cost) for cost in costs],
        "bytes_added": {after: sizes[after] - sizes[before] for before, after in grown},
        "bytes_of_landing": size(root / "landing"),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def place(lake: Lake, names: tuple[str, ...]) -> None:
    """Say on which exchange each ticker is."""
    count = len(names)
    rows = pa.table(
        {
            "ticker": list(names),
            "exchange": ["XNYS"] * count,
            "alias": list(names),
            "kind": ["symbol"] * count,
            "valid_from": [date(1900, 1, 1)] * count,
            "valid_to": pa.nulls(count, pa.date32()),
        }
    )
    lake.transact(lambda tx: tx.upsert("tickers", rows, ("ticker", "alias", "valid_from")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=40)
    parser.add_argument("--years", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(chosen.tickers, chosen.years, Path(folder)), indent=2))
