"""Faults the vendor commits on demand: which, on whose requests, and on which of them."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import date
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field

from sandbox.messages import Request

WireKind = Literal[
    "rate_limited", "server_error", "reset_mid_body", "slow_drip", "html_page", "truncated",
    "redirect_metadata", "redirect_file", "redirect_loop", "gzip_bomb", "unavailable", "not_found",
    "no_answer", "silence",
]  # fmt: skip
DocumentKind = Literal["huge_feed", "wrong_encoding", "entity_bomb", "external_entity"]
ItemKind = Literal[
    "changed_guid", "changed_link", "edited_title", "missing_date", "unknown_zone", "future_date",
    "back_dated", "odd_date", "script_title", "control_characters", "newline_title",
    "label_words", "instructions",
]  # fmt: skip
ChartKind = Literal["delisted", "empty_frame", "as_traded", "limit_page"]
BarKind = Literal[
    "partial_frame", "nan_last_row", "repeated_last_row", "jump_100x", "unapplied_split",
    "zero_price", "negative_price", "infinite_price", "high_below_low", "other_unit",
    "last_digit", "stale_bar", "missing_bar",
]  # fmt: skip
EdgarKind = Literal["false_z"]
NewsApiKind = Literal[
    "plain_text", "error_object", "broken_json", "odd_items", "endless_paging", "page_overlap",
    "next_elsewhere", "next_with_key",
]  # fmt: skip
FaultKind = WireKind | DocumentKind | ItemKind | ChartKind | BarKind | EdgarKind | NewsApiKind

_ON_FEEDS = {*get_args(DocumentKind)}
_ON_ITEMS = {*get_args(ItemKind)}
_ON_NEWS_APIS = {*get_args(NewsApiKind)}
_ON_CHARTS = {*get_args(ChartKind), *get_args(BarKind)}
_ON_EDGAR = {*get_args(EdgarKind)}
FAULT_KINDS: tuple[str, ...] = (
    *get_args(WireKind),
    *sorted(_ON_FEEDS | _ON_ITEMS | _ON_CHARTS | _ON_EDGAR | _ON_NEWS_APIS),
)


class Fault(BaseModel):
    """One fault. Scope fields left out match everything the kind can befall.

    Faults of bars and of symbols befall answers with prices alone, whichever vendor's (`host` or
    `path` narrows them to one), those of documents feeds alone, those of items feeds and news
    APIs, those of news APIs these alone, those of filings EDGAR alone. What `value`, `text`,
    `session` and `items` mean, docs/reference/sandbox.md says of each kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    """What goes wrong."""
    host: str | None = None
    """Only answers of this host; none: of all."""
    ticker: str | None = None
    """Only answers about this ticker; none: about all."""
    path: str = ""
    """Only addresses whose path begins so; empty: all."""
    first: int = Field(default=1, ge=1)
    """Number of the first matching request that suffers, from 1."""
    times: int | None = Field(default=None, ge=1)
    """How many suffer from then on; none: all."""
    value: float | None = None
    """The kind's number, e.g. seconds, days or MiB; none: the kind's own."""
    text: str | None = None
    """The kind's text; none: the kind's own."""
    session: date | None = None
    """Only this session, exchange-local; none: the last."""
    items: int | None = Field(default=None, ge=1)
    """How many items of an answer suffer; none: all."""

    def matches(self, request: Request) -> bool:
        """Whether the fault may befall `request` at all."""
        befalls = (
            (_ON_CHARTS, request.is_price),
            (_ON_FEEDS, request.is_feed),
            (_ON_ITEMS, request.is_feed or request.is_news_api),
            (_ON_NEWS_APIS, request.is_news_api),
            (_ON_EDGAR, request.is_edgar),
        )
        if any(self.kind in kinds and not fits for kinds, fits in befalls):
            return False
        if self.ticker is not None and self.ticker not in request.tickers:
            return False
        return self.host in (None, request.host) and request.path.startswith(self.path)


class FaultPlan(BaseModel):
    """Which faults to commit, and when. Empty: the vendor behaves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faults: tuple[Fault, ...] = ()
    """The faults, each with its scope."""

    @classmethod
    def of(cls, *faults: Fault) -> Self:
        """A plan of these faults, committed together where their scopes overlap."""
        return cls(faults=faults)


class FaultCounter:
    """Counts the requests each fault of a plan matches. Safe to share between threads."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._seen: Counter[int] = Counter()
        self._lock = threading.Lock()

    def due(self, request: Request) -> list[tuple[Fault, int]]:
        """The faults that befall `request`, each with how often it has now been committed."""
        due = []
        with self._lock:
            for number, fault in enumerate(self._plan.faults):
                if not fault.matches(request):
                    continue
                self._seen[number] += 1
                committed = self._seen[number] - fault.first + 1
                if committed >= 1 and (fault.times is None or committed <= fault.times):
                    due.append((fault, committed))
        return due
