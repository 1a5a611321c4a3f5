"""Five sources of which some are dead on a day, each in its own way, and who asks them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from flows.platform.display import IngestSummary
from flows.settings import ConfigSelection, Settings, load_settings
from sandbox.chart import Quoting
from sandbox.faults import Fault, FaultPlan
from sandbox.market import Market, synthetic_market
from sandbox.messages import EDGAR_PATHS, FEED_PATHS, STOOQ_PATH, TIINGO_PATH, Answer, Request
from sandbox.newswire import NewsSpec
from sandbox.vendor import SandboxVendor
from sandbox.wire_faults import wire_fault

Way = Literal["no_answer", "unavailable", "html_page", "empty", "partial", "silence"]
"""How a source may be dead: it takes no request, answers 503, a web page, nothing, a part of what
it has, or never."""
WAYS: tuple[Way, ...] = get_args(Way)
PRICES = ("yahoo", "stooq", "tiingo")
NEWS = ("wire", "edgar")
SOURCES = (*PRICES, *NEWS)
DEATHS: tuple[dict[str, Way], ...] = (
    {"yahoo": "silence", "stooq": "unavailable"},
    {"tiingo": "partial", "wire": "html_page"},
    {"yahoo": "partial", "edgar": "unavailable"},
    {"stooq": "unavailable", "tiingo": "no_answer"},
    {"wire": "no_answer", "edgar": "silence"},
    {"yahoo": "html_page", "tiingo": "empty"},
    {"stooq": "html_page", "wire": "silence"},
    {"tiingo": "silence", "edgar": "no_answer"},
    {"yahoo": "no_answer", "wire": "empty"},
    {"stooq": "no_answer", "edgar": "empty"},
)
"""Every pair once, none of them with a source of the day before; the next time each dies in the way
that follows."""
PAIRS = tuple(tuple(dead) for dead in DEATHS)
TICKERS = (
    "AAPL", "AMZN", "BAC", "CSCO", "CVX", "DIS", "GE", "GOOG", "IBM", "INTC",
    "JNJ", "JPM", "KO", "MCD", "MRK", "MSFT", "NVDA", "ORCL", "PEP", "TSLA",
)  # fmt: skip
PAST = date(2023, 12, 1)
SEED = 11
_EMPTY_RSS = b'<?xml version="1.0"?><rss version="2.0"><channel><title>t</title></channel></rss>'
_EMPTY_ATOM = b'<feed xmlns="http://www.w3.org/2005/Atom"><title>Latest Filings</title></feed>'
_FILINGS = re.compile(rb'"(accessionNumber|filingDate|reportDate|acceptanceDateTime|form|items|'
                      rb'primaryDocument|primaryDocDescription)": \[[^\]]*\]')  # fmt: skip

CONFIGURATION = """
data_root = "data"
stale_after = "P6D"
universe = {{ exchange = "XNYS", tickers = {tickers} }}
history = {{ prices_start = {past}, headlines_start = {past} }}
dataset = {{ min_headlines = 0, render = {{ max_headlines = 20 }} }}

[sandbox]
market = "universe"

[prices]
vendors = ["yahoo", "stooq", {{ kind = "tiingo", key = "${{TIINGO_TOKEN}}" }}]
timeout = 8

[http.prices]
host_deadline = "PT8S"
retry = {{ attempts = 2, first_wait = "PT0.01S", longest_wait = "PT0.05S" }}

[http.feeds]
deadline = "PT8S"
host_deadline = "PT8S"
retry = {{ attempts = 2, first_wait = "PT0.01S", longest_wait = "PT0.05S" }}
rates = {{}}

[[feeds]]
preset = "edgar"

[[feeds]]
preset = "edgar-current"

[[feeds]]
name = "wire-search"
url = "https://news.google.com/rss/search?q={{ticker}}+after:{{start}}+before:{{end}}"
mode = "search"
granularity = "second"
publisher = "wire"

[[feeds]]
name = "wire-latest"
url = "https://feeds.finance.yahoo.com/rss/2.0/headline?s={{ticker}}"
publisher = "wire"
"""


def market_until(last: date) -> Market:
    """The made-up shares of all tickers, with some days beyond the last."""
    return synthetic_market(TICKERS, PAST, last + timedelta(days=7), seed=SEED)


def source_of(request: Request) -> str:
    """Whose request it is; whatever else yfinance asks for is Yahoo's."""
    if request.path.startswith(EDGAR_PATHS):
        return "edgar"
    if request.path.startswith(FEED_PATHS):
        return "wire"
    if request.path.startswith(STOOQ_PATH):
        return "stooq"
    return "tiingo" if request.path.startswith(TIINGO_PATH) else "yahoo"


def deaths(number: int) -> dict[str, Way]:
    """Which two sources are dead on a day, and how: pairs in turn, ways in turn."""
    cycle, place = divmod(number, len(DEATHS))
    return {
        source: WAYS[(WAYS.index(way) + cycle) % len(WAYS)] for source, way in DEATHS[place].items()
    }


class Vendors(SandboxVendor):
    """All five sources on one loopback server at a moment that can be moved."""

    def __init__(self, market: Market) -> None:
        self.at = datetime(2024, 1, 1, tzinfo=UTC)
        self.dead: Mapping[str, Way] = {}
        self.asked: Counter[str] = Counter()
        news = NewsSpec(mode="planted", strength=0.8, coverage=0.6, seed=SEED)
        quoting = Quoting(split_adjusted=True)
        super().__init__(market, news, now=lambda: self.at, faults=FaultPlan(), quoting=quoting)

    def answer(self, request: Request) -> Answer:
        source = source_of(request)
        self.asked[source] += 1
        made = super().answer(request)
        way = self.dead.get(source)
        return made if way is None else _dead(request, made, way)


def _dead(request: Request, answer: Answer, way: Way) -> Answer:
    if way == "partial":
        return _in_part(request, answer)
    if way == "empty":
        return _empty(request, answer)
    return wire_fault(answer, Fault(kind=way))


def _in_part(request: Request, answer: Answer) -> Answer:
    """A part of the tickers is refused, and a document of many items breaks off."""
    wanted = request.tickers or (request.path,)
    if sum(map(ord, wanted[0])) % 2:
        return wire_fault(answer, Fault(kind="unavailable"))
    return wire_fault(answer, Fault(kind="truncated")) if request.is_feed else answer


def _empty(request: Request, answer: Answer) -> Answer:
    if request.is_feed:
        return replace(answer, body=_EMPTY_RSS)
    if request.is_edgar:
        atom = request.path.startswith("/cgi-bin/")
        emptied = _FILINGS.sub(rb'"\1": []', answer.body)
        return replace(answer, body=_EMPTY_ATOM if atom else emptied)
    if request.path.startswith(STOOQ_PATH):
        return replace(answer, body=b"No data")
    return replace(answer, body=b"[]" if source_of(request) == "tiingo" else b"{}")


@dataclass
class Root:
    """A data root, its vendors, and its configuration at their moment."""

    folder: Path
    vendors: Vendors
    requests: list[tuple[date, str, int]] = field(default_factory=list)
    """Day, dead source, and how often it was asked."""

    @property
    def selection(self) -> ConfigSelection:
        """The configuration at the vendors' moment."""
        path = self.folder / "newsvane.toml"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(CONFIGURATION.format(tickers=list(TICKERS), past=PAST))
        moment, url = self.vendors.at.isoformat(), self.vendors.base_url
        return ConfigSelection(
            config=path, overrides=(f"sandbox.now={moment}", f'sandbox.url="{url}"')
        )

    @property
    def settings(self) -> Settings:
        """The configuration, read."""
        chosen = self.selection
        return load_settings(chosen.config, chosen.profile, chosen.overrides)

    def gather(self, at: datetime, dead: Mapping[str, Way]) -> IngestSummary:
        """What the daily job does before it predicts, at a moment with some sources dead."""
        from flows.ingest import ingest, poll_headlines, retry_missing
        from flows.jobs import LOOK_BACK

        self.vendors.at, self.vendors.dead = at, dead
        before = Counter(self.vendors.asked)
        summary = ingest(self.selection, at.date() - LOOK_BACK, at.date())
        summary = summary.plus(retry_missing(self.settings)).plus(poll_headlines(self.settings))
        spent = self.vendors.asked - before
        self.requests += [(at.date(), source, spent[source]) for source in self.vendors.dead]
        self.vendors.dead = {}
        return summary
