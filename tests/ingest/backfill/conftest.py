"""One vendor asked by several `newsvane` processes, and what they left in their warehouses."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from flows.settings import ConfigSelection, Settings, load_settings
from sandbox.market import Market, synthetic_market
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from tests.builders.forks import REPOSITORY, Child, Forks, forks_of
from warehouse.lake import Lake
from warehouse.storage.landing import Landing

CONTENT = dict.fromkeys(
    ("sessions", "tickers", "bars", "bar_revisions", "actions", "headlines", "headline_tickers",
     "headline_revisions", "quarantine", "partitions", "examples"),
    "*",
) | {"payloads": "* EXCLUDE (headers)"}  # fmt: skip
"""What is compared: an answer's headers bear the vendor's real time."""
SEARCH_ONLY = (
    'feeds=[{name="sandbox-search", mode="search", publisher="sandbox-wire", synthetic=true, '
    'url="https://news.google.com/rss/search?q={ticker}+after:{start}+before:{end}"}]'
)
"""Without polls: one that comes before the search rightly counts as seen at that moment."""
FACTS = {
    "sessions": "*",
    "tickers": "*",
    "bars": "ticker, session, open, high, low, close, volume",
    "actions": "ticker, ex_date, kind, value",
    "headlines": "headline_id, story_id, title, published_at",
    "headline_tickers": "headline_id, ticker",
    "examples": "example_id, ticker, session, input, headline_ids, label_return",
}


@dataclass(frozen=True)
class Scene:
    """A made-up market over `days`, the vendor that quotes it, and commands pointed at it."""

    tickers: tuple[str, ...]
    days: tuple[date, date]
    vendor: SandboxVendor
    forks: Forks

    @property
    def now(self) -> datetime:
        """Noon (UTC) two days after the last day: every session of the range is over."""
        return noon_after(self.days[1])

    def selection(self, root: Path, *overrides: str) -> ConfigSelection:
        """The configuration of a warehouse below `root`."""
        return ConfigSelection(
            config=REPOSITORY / "newsvane.toml",
            overrides=(
                f"data_root={root}",
                f"universe.tickers={json.dumps(self.tickers)}",
                f'sandbox.url="{self.vendor.base_url}"',
                f"sandbox.now={self.now.isoformat()}",
                SEARCH_ONLY,
                *overrides,
            ),
        )

    def run(self, flow: str, root: Path, **parameters: object) -> Child:
        """Run a flow on the warehouse below `root`, in a process of its own."""
        return self.forks.run(root, flow, self.selection(root).model_dump(mode="json"), parameters)

    def asked(self) -> Counter[tuple[str, str]]:
        """How often the vendor was asked for which ticker and range: prices and searches."""
        return Counter(
            (request.tickers[0], json.dumps(dict(request.query), sort_keys=True))
            for served in self.vendor.requests
            for request in [served.request]
            if request.is_chart or request.path == "/rss/search"
        )

    def content(self, root: Path) -> dict[str, pa.Table]:
        """Every row of every table that does not tell when or by which process it was made."""
        return self._read(root, CONTENT)

    def facts(self, root: Path) -> dict[str, pa.Table]:
        """What is known, without by which answer and in how many requests it came to be known."""
        return self._read(root, FACTS)

    def _read(self, root: Path, tables: dict[str, str]) -> dict[str, pa.Table]:
        with self.lake(root) as lake:
            return {
                name: lake.sql(f"SELECT {columns} FROM {name} ORDER BY ALL")
                for name, columns in tables.items()
            }

    def days_done(self, root: Path) -> Counter[tuple[str, str, date]]:
        """How often the ledger has each day of a source and key as delivered."""
        with self.lake(root) as lake:
            done = lake.sql("SELECT * FROM partitions WHERE state = 'done'").to_pylist()
        return Counter(
            (row["source"], row["key"], row["range_start"] + timedelta(days=day))
            for row in done
            for day in range((row["range_end"] - row["range_start"]).days + 1)
        )

    def landed(self, root: Path) -> list[str]:
        """The names of all payloads in the landing zone."""
        return sorted(name for name, _ in Landing.of(self.settings(root).warehouse).landed())

    def lake(self, root: Path) -> Lake:
        return Lake.open(self.settings(root).warehouse)

    def settings(self, root: Path) -> Settings:
        chosen = self.selection(root)
        return load_settings(chosen.config, chosen.profile, chosen.overrides)


def noon_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=2), time(12), UTC)


@pytest.fixture(scope="session")
def forks(prefect_api: str) -> Iterator[Forks]:
    """One process for all tests of the folder."""
    script = Path(__file__).with_name("flow_process.py")
    with forks_of(str(script), PREFECT_API_URL=prefect_api) as found:
        yield found


@pytest.fixture
def scene(forks: Forks, prefect_runs: str) -> Iterator[Callable[[int, date, date], Scene]]:
    """Makes a scene of a number of tickers between two dates."""
    with contextlib.ExitStack() as opened:

        def make(
            size: int,
            start: date,
            end: date,
            market: Market | None = None,
            news: NewsSpec | pa.Table = NewsSpec(coverage=0.6),  # noqa: B008 - frozen
        ) -> Scene:
            market = market or synthetic_market(size, start, end + timedelta(days=7))
            vendor = SandboxVendor(market, news, now=lambda: noon_after(end))
            return Scene(market.tickers, (start, end), opened.enter_context(vendor), forks)

        yield make
