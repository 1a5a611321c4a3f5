"""Feeds: their specs, the shipped presets, and the requests for tickers and dates."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.ingest.headlines.dates import DeclaredGranularity, require_zone
from tasks.ingest.http.redaction import redacted

_PLACEHOLDER = re.compile(r"(?<!\$)\{(\w*)\}")
_ONE_DAY = timedelta(days=1)

GENERAL = "*"
"""The ledger key of a feed that is not requested per ticker."""


class UnknownFeedError(ValueError):
    """No preset has the name that was given."""


class EdgarSpec(BaseModel):
    """How filings of the SEC's EDGAR are read.

    `forms` become events, with their amendments ("8-K/A"). `ciks` are those of tickers that the
    shipped list of the SEC has otherwise or not at all. `headers` says of which filings the SGML
    header is fetched, which alone tells the second of acceptance for sure: those that their answer
    leaves "undecided", "all", or none ("never"; undecided ones then have the later reading).
    `documents`: fetch the document of each 8-K too, for what it says of its press release.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    forms: tuple[str, ...] = ("8-K", "10-Q", "10-K", "6-K")
    ciks: dict[str, int] = Field(default_factory=dict)
    headers: Literal["undecided", "all", "never"] = "undecided"
    documents: bool = False
    archives: str = "https://www.sec.gov/Archives/edgar/data"


class FeedSpec(BaseModel):
    """One feed.

    `url` may hold `{ticker}` and, for a search, `{start}` (first day) and `{end}` (the day after
    the last), ISO dates both. `${NAME}` in it is a secret, the environment variable NAME; one that
    is spelled out instead is hidden wherever the address is kept or shown. `mode` poll: the address
    serves its latest items, and an item counts as available once we have seen it. `mode` search:
    the address answers for past days, which nobody saw happen; items count as available `lag` after
    the time they claim. `scope` ticker: everything the address answers is about that ticker. A
    search asks once per ticker and `chunk` (a calendar period). `cap` is the most items that one
    answer holds: a search with so many is asked again in halves. `zone` is the IANA zone of dates
    that name none. `granularity` says what its dates are good for: "detect" finds stamps that are
    days by themselves. With `edgar` the address is EDGAR's and speaks as that does: a search is a
    company's submissions (`{cik}`), asked for the filing dates of a range, a poll the latest
    filings of all.
    In configuration, `preset` stands for all fields of a shipped feed; others given override it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    url: str
    mode: Literal["poll", "search"] = "poll"
    scope: Literal["ticker", "general"] = "ticker"
    lag: timedelta = Field(default=timedelta(minutes=15), ge=timedelta(0))
    chunk: Literal["year", "month", "day"] = "year"
    cap: int | None = Field(default=None, ge=1)
    zone: str | None = None
    granularity: DeclaredGranularity = "detect"
    clock_skew: timedelta = Field(default=timedelta(minutes=5), ge=timedelta(0))
    concurrency: int = Field(default=4, ge=1, le=32)
    synthetic: bool = False
    publisher: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._-]*$")
    edgar: EdgarSpec | None = None
    verified_live: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "preset" not in given:
            return given
        return preset_fields(given["preset"]) | {k: v for k, v in given.items() if k != "preset"}

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        return require_zone(zone)

    @model_validator(mode="after")
    def _placeholders_fit(self) -> FeedSpec:
        expected = {"ticker"} if self.scope == "ticker" else set()
        if self.mode == "search":
            expected |= {"start", "end"}
        if self.edgar is not None:
            expected = {"cik"} if self.mode == "search" else set()
            if (self.mode == "search") != (self.scope == "ticker"):
                raise ValueError(
                    f"feed {self.name!r}: EDGAR is searched by ticker or polled in general, got "
                    f"{self.mode} and {self.scope}"
                )
        found = set(_PLACEHOLDER.findall(self.url))
        if found != expected:
            raise ValueError(
                f"feed {self.name!r}: a {self.scope} feed in {self.mode} mode needs a url with "
                f"exactly the placeholders {_listed(expected)}, got {_listed(found)}"
            )
        return self

    @property
    def shown_url(self) -> str:
        """The address with its secrets hidden, placeholders and references as they are."""
        return redacted(self.url)

    @property
    def source(self) -> str:
        """The source of its headlines: one publisher may have several feeds."""
        return self.publisher or self.name


def feed_presets() -> dict[str, FeedSpec]:
    """Every shipped feed by name. `verified_live` says whether its address was seen to work."""
    return {name: FeedSpec.model_validate(fields) for name, fields in _shipped().items()}


def preset_fields(name: str) -> dict[str, Any]:
    """The fields of the shipped feed of that name.

    Raises UnknownFeedError, which lists the names there are.
    """
    shipped = _shipped()
    if name not in shipped:
        raise UnknownFeedError(
            f"No feed preset is called {name!r}; there are {', '.join(sorted(shipped))}. "
            "Correct the name, or describe the feed in full."
        )
    return shipped[name]


def _shipped() -> dict[str, dict[str, Any]]:
    text = (files("tasks.ingest.headlines") / "presets" / "feeds.toml").read_text(encoding="utf-8")
    return {fields["name"]: fields for fields in tomllib.loads(text)["feeds"]}


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """One address to fetch; `key` is its ticker or GENERAL, the dates are inclusive.

    `url` is what is kept and shown of the address, `address` what is fetched: secrets are in it,
    or references to them.
    """

    key: str
    url: str
    range_start: date
    range_end: date
    address: str = field(default="", repr=False, compare=False)


def feed_requests(
    feed: FeedSpec, tickers: Sequence[str], start: date, end: date
) -> tuple[FeedRequest, ...]:
    """The requests for `tickers` over the inclusive dates, in ticker order, then by date.

    Raises ValueError when `start` is after `end`.
    """
    if start > end:
        raise ValueError(f"start {start} is after end {end}; give the earlier date first.")
    keys = sorted(set(tickers)) if feed.scope == "ticker" else [GENERAL]
    periods = list(_periods(feed, start, end))
    return tuple(_request(feed, key, first, last) for key in keys for first, last in periods)


def halves(feed: FeedSpec, request: FeedRequest) -> tuple[FeedRequest, ...]:
    """The two halves of a search's range; none when it is a single day, or no search's."""
    first, last = request.range_start, request.range_end
    if feed.mode == "poll" or first == last:
        return ()
    middle = first + (last - first) // 2
    return tuple(
        _request(feed, request.key, begin, end)
        for begin, end in ((first, middle), (middle + _ONE_DAY, last))
    )


def request_of(feed: FeedSpec, url: str, fetched_on: date) -> FeedRequest | None:
    """The request that `url` must have come from; None when it does not fit the feed's address.

    A poll's range is the day of the fetch, which its address does not hold.
    """
    pattern = "".join(
        f"(?P<{part}>[^&/]+?)" if place % 2 else re.escape(part)
        for place, part in enumerate(_PLACEHOLDER.split(feed.shown_url))
    )
    match = re.fullmatch(pattern, url)
    if match is None:
        return None
    found = match.groupdict()
    key = unquote(found.get("ticker", GENERAL))
    if feed.mode == "poll":
        return FeedRequest(key, url, fetched_on, fetched_on)
    try:
        first, after = (date.fromisoformat(found[name]) for name in ("start", "end"))
    except ValueError:
        return None
    return FeedRequest(key, url, first, after - _ONE_DAY)


def _periods(feed: FeedSpec, start: date, end: date) -> Iterator[tuple[date, date]]:
    """Calendar-aligned periods, so that overlapping backfills ask for the same ranges again."""
    first = start
    while first <= end:
        whole = feed.mode == "poll" or feed.edgar is not None
        last = end if whole else min(end, _period_end(feed.chunk, first))
        yield first, last
        first = last + _ONE_DAY


def _period_end(length: str, day: date) -> date:
    if length == "day":
        return day
    if length == "year":
        return date(day.year, 12, 31)
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - _ONE_DAY


def _request(feed: FeedSpec, key: str, first: date, last: date) -> FeedRequest:
    # Hidden before it is filled in: a ticker is no secret, whatever the parameter is called.
    shown = _filled(feed.shown_url, key, first, last)
    return FeedRequest(key, shown, first, last, _filled(feed.url, key, first, last))


def _filled(url: str, ticker: str, first: date, last: date) -> str:
    values = {
        "ticker": quote(ticker, safe=""),
        "start": first.isoformat(),
        "end": (last + _ONE_DAY).isoformat(),
    }
    # EDGAR's own number of a company is filled in by who looks it up.
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), url)


def _listed(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "(none)"
