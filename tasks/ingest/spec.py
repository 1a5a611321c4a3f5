"""The configuration of ingest: which tickers, how far back, at what cost in requests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.ingest.headlines.archive import HeadlineMapping
from tasks.ingest.http.retry import FeedLimits, PriceLimits
from tasks.ingest.prices.actions_archive import ActionMapping
from tasks.ingest.prices.archive import PriceMapping
from tasks.ingest.symbols import require_symbols
from tasks.ingest.universe import MembershipFile, read_memberships

_FROZEN = ConfigDict(frozen=True, extra="forbid")

# Tables of earlier releases: the client of [http] they became, and their keys that have new names.
_EARLIER_TABLES = {
    "patience": (
        "prices",
        {
            "request_budget": "requests",
            "deadline": "run_deadline",
            "body_limit": "body_bytes",
            "redirect_limit": "redirects",
        },
    ),
    "feed_limits": ("feeds", {}),
}
_RETRY_KEYS = frozenset({"attempts", "first_wait", "longest_wait"})


class UniverseSpec(BaseModel):
    """Which tickers, on which exchange, and since when.

    With `index` the universe is as of the day. Without, a list of tickers counts on every day.
    """

    model_config = _FROZEN

    exchange: str = "XNYS"
    """ISO 10383 code of the exchange, as exchange_calendars spells it."""
    tickers: tuple[str, ...] = Field(default=("AAPL", "FB", "GOOG", "IBM", "MSFT"), min_length=1)
    """Symbols; with `index` all that ever were members, and the benchmark."""
    index: Path | None = None
    """CSV of dated memberships: ticker, from, to (see `read_memberships`). None: `tickers` count on
    every day."""
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][\w.-]{0,63}$")
    """What the warehouse calls a dated universe; none: the file's name without its ending."""
    aliases: Path | None = None
    """CSV of names and symbols by which headlines are given to tickers; none: the shipped one."""

    @field_validator("tickers")
    @classmethod
    def _symbols(cls, tickers: tuple[str, ...]) -> tuple[str, ...]:
        return require_symbols(tickers)

    @property
    def dated(self) -> str | None:
        """The name of a dated universe; None for a list of tickers."""
        return None if self.index is None else self.name or self.index.stem

    def memberships(self) -> MembershipFile | None:
        """The file of a dated universe, read; raises MembershipError."""
        return None if self.index is None else read_memberships(self.index, self.exchange)

    def placed_below(self, folder: Path, benchmark: str | None = None) -> UniverseSpec:
        """The same with its files taken from `folder`, and the tickers of a dated universe.

        A `benchmark` is none of its members and is asked for all the same. Raises MembershipError.
        """
        placed = self.model_copy(
            update={
                "aliases": self.aliases and folder / self.aliases,
                "index": self.index and folder / self.index,
            }
        )
        members = placed.memberships()
        if members is None:
            return placed
        others = () if benchmark in (None, *members.tickers) else require_symbols([str(benchmark)])
        return placed.model_copy(update={"tickers": (*members.tickers, *others)})


class HistorySpec(BaseModel):
    """How far back `run` ingests. Dates are sessions or the days between them; inclusive."""

    model_config = _FROZEN

    prices_start: date = date(2000, 3, 1)
    """First day of prices."""
    headlines_start: date = date(2011, 6, 1)
    """First day of headlines."""
    end: date | None = None
    """Last day; none: the last finished session."""

    @model_validator(mode="after")
    def _in_order(self) -> HistorySpec:
        starts = max(self.prices_start, self.headlines_start)
        if self.end is not None and self.end < starts:
            raise ValueError(f"end {self.end} lies before a start ({starts}); swap or correct them")
        return self


class HttpSpec(BaseModel):
    """What the clients of vendors may cost, and when they try again."""

    model_config = _FROZEN

    prices: PriceLimits = PriceLimits()
    feeds: FeedLimits = FeedLimits()


class ArchiveSpec(BaseModel):
    """How the columns of imported files are read, unless a command says otherwise."""

    model_config = _FROZEN

    prices: PriceMapping | None = None
    actions: ActionMapping | None = None
    headlines: HeadlineMapping | None = None


def with_new_names(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables with those of earlier releases under their new names, with a FutureWarning.

    Where both are given the new name counts.
    """
    result = dict(tables)
    for name, (client, new_keys) in _EARLIER_TABLES.items():
        given = result.pop(name, None)
        if not given:
            continue
        warnings.warn(
            f"The settings [{name}] are now [http.{client}], with attempts and waits in "
            f"[http.{client}.retry]; rename them, the next release refuses the earlier name.",
            FutureWarning,
            stacklevel=2,
        )
        limits = {new_keys.get(key, key): given[key] for key in given.keys() - _RETRY_KEYS}
        limits["retry"] = {key: given[key] for key in given.keys() & _RETRY_KEYS}
        http = dict(result.get("http", {}))
        own = http.get(client, {})
        http[client] = {**limits, **own, "retry": {**limits["retry"], **own.get("retry", {})}}
        result["http"] = http
    return result
