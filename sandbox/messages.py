"""One request and one answer, as the vendor's parts hand them to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CHART_PATH = "/v8/finance/chart/"
STOOQ_PATH = "/q/d/l/"
TIINGO_PATH = "/tiingo/daily/"
ALPHA_VANTAGE_PATH = "/query"
PRICE_PATHS = (CHART_PATH, STOOQ_PATH, TIINGO_PATH, ALPHA_VANTAGE_PATH)
GDELT_PATH = "/api/v2/doc/doc"
FINNHUB_PATH = "/api/v1/company-news"
MASSIVE_NEWS_PATH = "/v2/reference/news"
ALPACA_NEWS_PATH = "/v1beta1/news"
BENZINGA_PATH = "/api/v2/news"
NEWSAPI_PATH = "/v2/everything"
NEWS_API_PATHS = frozenset(
    {GDELT_PATH, FINNHUB_PATH, MASSIVE_NEWS_PATH, ALPACA_NEWS_PATH, BENZINGA_PATH, NEWSAPI_PATH}
)
FEED_PATHS = ("/rss/", "/atom")
EDGAR_PATHS = ("/submissions/", "/cgi-bin/browse-edgar", "/Archives/edgar/")


@dataclass(frozen=True)
class Request:
    """One HTTP request: the host it was meant for (or empty), header names in lower case."""

    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_chart(self) -> bool:
        """Asks Yahoo for prices."""
        return self.path.startswith(CHART_PATH)

    @property
    def is_price(self) -> bool:
        """Asks a vendor for prices, Yahoo or another."""
        return self.path.startswith(PRICE_PATHS)

    @property
    def is_feed(self) -> bool:
        """Asks for headlines."""
        return self.path.startswith(FEED_PATHS)

    @property
    def is_news_api(self) -> bool:
        """Asks a JSON news API."""
        return self.path in NEWS_API_PATHS

    @property
    def is_edgar(self) -> bool:
        """Asks EDGAR for filings."""
        return self.path.startswith(EDGAR_PATHS)

    @property
    def tickers(self) -> tuple[str, ...]:
        """The requested symbols, upper case; empty for a general feed or another page."""
        if self.is_chart:
            words = [self.path.removeprefix(CHART_PATH)]
        elif self.path.startswith(STOOQ_PATH):
            words = [self.query.get("s", "").removesuffix(".us")]
        elif self.path.startswith(TIINGO_PATH):
            words = [self.path.removeprefix(TIINGO_PATH).partition("/")[0]]
        elif self.path.startswith(ALPHA_VANTAGE_PATH):
            words = [self.query.get("symbol", "")]
        elif self.is_news_api:
            names = ("symbol", "symbols", "ticker", "tickers")
            words = ",".join(self.query.get(name, "") for name in names).split(",")
        elif self.path == "/rss/search":
            words = [word for word in self.query.get("q", "").split() if ":" not in word]
        elif self.path.startswith("/rss/"):
            words = self.query.get("s", "").split(",")
        else:
            words = [self.path.removeprefix("/atom").strip("/")] if self.is_feed else []
        return tuple(word.strip('"').upper() for word in words if word)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer and the way its body travels.

    `whole` announces its length; `chunked` does not; `drip` sends a few bytes every `pause`
    seconds; `reset` breaks the connection half way through an announced body. `none` closes it
    before an answer begins, `silence` never begins one while the client waits.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    delivery: Literal["whole", "chunked", "drip", "reset", "none", "silence"] = "whole"
    pause: float = 0.0
