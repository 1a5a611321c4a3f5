"""One request and one answer, as the vendor's parts hand them to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CHART_PATH = "/v8/finance/chart/"
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
        """Asks for prices."""
        return self.path.startswith(CHART_PATH)

    @property
    def is_feed(self) -> bool:
        """Asks for headlines."""
        return self.path.startswith(FEED_PATHS)

    @property
    def is_edgar(self) -> bool:
        """Asks EDGAR for filings."""
        return self.path.startswith(EDGAR_PATHS)

    @property
    def tickers(self) -> tuple[str, ...]:
        """The requested symbols, upper case; empty for a general feed or another page."""
        if self.is_chart:
            words = [self.path.removeprefix(CHART_PATH)]
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
    seconds; `reset` breaks the connection half way through an announced body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    delivery: Literal["whole", "chunked", "drip", "reset"] = "whole"
    pause: float = 0.0
