"""Feeds: their specs, the shipped presets, and the requests for tickers and dates."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.ingest.headlines.api_spec import ApiSpec, instant_of, instant_text
from tasks.ingest.headlines.dates import DeclaredGranularity, require_zone
from tasks.ingest.http.redaction import redacted

_PLACEHOLDER = re.compile(r"(?<!\$)\{(\w*)\}")
_ONE_DAY = timedelta(days=1)
_ONE_SECOND = timedelta(seconds=1)
_SMALLEST_PART = timedelta(minutes=15)
_PAGE = re.compile(r"#page=(\d+)")
_BEGINS, _ENDS = {"start", "since"}, {"end", "last", "until", "before"}
"""Placeholders for the two ends of a search's range."""

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
    days by themselves. `grain`: stamps are rounded to multiples of it, and an item counts from the
    end of its grain. `symbols` maps a ticker to what the publisher calls it. `rate` is the most
    requests a second that its publisher wants. With `api` the address is that of a JSON API, whose
    parameters may also hold `{last}` (the last day), `{since}`, `{until}` (first and last second of
    the range) and `{before}` (the second after), and `{query}`, which stands for `query`; a poll's
    range is today and yesterday. With `edgar` the address is EDGAR's and speaks as that does: a
    search is a company's submissions (`{cik}`), asked for the filing dates of a range, a poll the
    latest filings of all.
    In configuration, `preset` stands for all fields of a shipped feed, or of one in a TOML file;
    others given override it.
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
    grain: timedelta = Field(default=timedelta(0), ge=timedelta(0))
    clock_skew: timedelta = Field(default=timedelta(minutes=5), ge=timedelta(0))
    concurrency: int = Field(default=4, ge=1, le=32)
    synthetic: bool = False
    publisher: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._-]*$")
    query: str | None = Field(default=None, min_length=1)
    symbols: dict[str, str] = Field(default_factory=dict)
    rate: float | None = Field(default=None, gt=0)
    edgar: EdgarSpec | None = None
    api: ApiSpec | None = None
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
        if self.api is not None:
            return self._fits_api(found)
        if found != expected:
            raise ValueError(
                f"feed {self.name!r}: a {self.scope} feed in {self.mode} mode needs a url with "
                f"exactly the placeholders {_listed(expected)}, got {_listed(found)}"
            )
        return self

    def _fits_api(self, found: set[str]) -> FeedSpec:
        """The placeholders of an API's address, and what may stand beside them."""
        expected = {"ticker"} if self.scope == "ticker" else set()
        expected |= {"query"} if self.query is not None else set()
        dated = found & (_BEGINS | _ENDS)
        if found - dated != expected or (self.mode == "search" and not self._is_bounded(dated)):
            raise ValueError(
                f"feed {self.name!r}: the address of a {self.scope} API with"
                f"{'' if self.query else 'out'} a query needs the placeholders "
                f"{_listed(expected)} and, to be searched, one of {_listed(_BEGINS)} and one of "
                f"{_listed(_ENDS)}, got {_listed(found)}"
            )
        parameter = self.api.paging.parameter if self.api else None
        taken = parameter and re.search(rf"[?&]{re.escape(parameter)}=", self.url)
        if self.edgar is not None or taken:
            raise ValueError(
                f"feed {self.name!r}: an API is no EDGAR, and the parameter of its pages "
                f"({parameter}) is left out of its address"
            )
        return self

    @staticmethod
    def _is_bounded(dated: set[str]) -> bool:
        return bool(dated & _BEGINS) and bool(dated & _ENDS)

    @property
    def host(self) -> str:
        """The host that is asked."""
        return urlsplit(self.url).hostname or ""

    @property
    def asks_instants(self) -> bool:
        """Whether a range smaller than a day can be asked for."""
        found = set(_PLACEHOLDER.findall(self.url))
        return "since" in found and bool(found & {"until", "before"})

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

    A name that ends in .toml is that of a file with the fields of one feed. Raises
    UnknownFeedError, which lists the names there are.
    """
    if name.endswith(".toml"):
        return _described(Path(name))
    shipped = _shipped()
    if name not in shipped:
        raise UnknownFeedError(
            f"No feed preset is called {name!r}; there are {', '.join(sorted(shipped))}. "
            "Correct the name, or describe the feed in full."
        )
    return shipped[name]


def _shipped() -> dict[str, dict[str, Any]]:
    """The fields of every shipped feed; one may build on another of its file."""
    shipped: dict[str, dict[str, Any]] = {}
    for path in sorted(Path(str(files("tasks.ingest.headlines") / "presets")).glob("*.toml")):
        for fields in tomllib.loads(path.read_text(encoding="utf-8")).get("feeds", ()):
            base = shipped.get(fields.get("preset"), {})
            own = {name: value for name, value in fields.items() if name != "preset"}
            shipped[fields["name"]] = base | own
    return shipped


def _described(path: Path) -> dict[str, Any]:
    """The fields of the feed that a file describes. Raises UnknownFeedError."""
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnknownFeedError(
            f"The feed file {path} could not be read: {error}. Expected a TOML file with the "
            "fields of one feed: name, url, mode and the rest, and a table [api] if it is one."
        ) from error
    if "preset" in fields:
        return preset_fields(fields.pop("preset")) | fields
    return fields


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """One address to fetch; `key` is its ticker or GENERAL, the dates are inclusive.

    `url` is what is kept and shown of the address, `address` what is fetched: secrets are in it,
    or references to them. `window`: first and last second (UTC) of a part of a single day. `page`
    counts the pages of one answer from 1; `query` are the parameters that a further one needs.
    """

    key: str
    url: str
    range_start: date
    range_end: date
    address: str = field(default="", repr=False, compare=False)
    window: tuple[datetime, datetime] | None = None
    page: int = 1
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)


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
    """The two halves of a search's range; none when it is as small as can be, or no search's.

    That is a single day, or a quarter of an hour (or the grain) of a feed whose address holds
    instants.
    """
    first, last = request.range_start, request.range_end
    if feed.mode == "poll":
        return ()
    if first == last:
        return _parts_of_day(feed, request)
    middle = first + (last - first) // 2
    return tuple(
        _request(feed, request.key, begin, end)
        for begin, end in ((first, middle), (middle + _ONE_DAY, last))
    )


def request_of(feed: FeedSpec, url: str, fetched_on: date) -> FeedRequest | None:
    """The request that `url` must have come from; None when it does not fit the feed's address.

    A poll's range is the day of the fetch, which its address does not hold.
    """
    named: set[str] = set()
    pattern = ""
    for place, part in enumerate(_PLACEHOLDER.split(feed.shown_url)):
        if place % 2 == 0:
            pattern += re.escape(part)
        else:
            pattern += f"(?P={part})" if part in named else f"(?P<{part}>[^&/#]+?)"
            named.add(part)
    match = re.fullmatch(rf"{pattern}(?:{_PAGE.pattern})?", url)
    if match is None:
        return None
    found, page = match.groupdict(), int(match[match.re.groups] or 1)
    key = unquote(found.get("ticker", GENERAL))
    key = next((ours for ours, theirs in feed.symbols.items() if theirs == key), key)
    if feed.mode == "poll":
        return FeedRequest(key, url, fetched_on, fetched_on, page=page)
    try:
        since, until = _range_of(feed, found)
    except (ValueError, OverflowError):
        return None
    whole = since.time() == time() and (until + _ONE_SECOND).time() == time()
    window = None if whole else (since, until)
    return FeedRequest(key, url, since.date(), until.date(), window=window, page=page)


def _range_of(feed: FeedSpec, found: dict[str, str]) -> tuple[datetime, datetime]:
    """The first and last second (UTC) of the range in an address. Raises ValueError."""
    written = feed.api.instants if feed.api else "iso"

    def moment(name: str) -> datetime:
        text = unquote(found[name])
        if name in ("start", "end", "last"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        return instant_of(text, written)

    since = moment("since" if "since" in found else "start")
    for name, further in {
        "until": timedelta(0), "before": -_ONE_SECOND, "end": -_ONE_SECOND,
        "last": _ONE_DAY - _ONE_SECOND,
    }.items():  # fmt: skip
        if name in found:
            return since, moment(name) + further
    raise ValueError("no end")


def _parts_of_day(feed: FeedSpec, request: FeedRequest) -> tuple[FeedRequest, ...]:
    if not feed.asks_instants:
        return ()
    grain = max(feed.grain, _SMALLEST_PART)
    since, until = request.window or _seconds(request.range_start, request.range_end)
    middle = since + (until + _ONE_SECOND - since) // grain // 2 * grain
    if middle == since:
        return ()
    return tuple(
        _request(feed, request.key, request.range_start, request.range_end, window)
        for window in ((since, middle - _ONE_SECOND), (middle, until))
    )


def _seconds(first: date, last: date) -> tuple[datetime, datetime]:
    """The first and the last second (UTC) of inclusive days."""
    midnight, after = (datetime.combine(day, time(), UTC) for day in (first, last + _ONE_DAY))
    return midnight, after - _ONE_SECOND


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


def _request(
    feed: FeedSpec,
    key: str,
    first: date,
    last: date,
    window: tuple[datetime, datetime] | None = None,
) -> FeedRequest:
    begins = first - _ONE_DAY if feed.mode == "poll" else first
    since, until = window or _seconds(begins, last)
    written = feed.api.instants if feed.api else "iso"
    values = {
        "ticker": feed.symbols.get(key, key),
        "query": feed.query or "",
        "start": begins.isoformat(),
        "last": last.isoformat(),
        "end": (last + _ONE_DAY).isoformat(),
        "since": instant_text(since, written),
        "until": instant_text(until, written),
        "before": instant_text(until + _ONE_SECOND, written),
    }
    # Hidden before it is filled in: a ticker is no secret, whatever the parameter is called.
    shown, address = (_filled(url, values) for url in (feed.shown_url, feed.url))
    return FeedRequest(key, shown, first, last, address, window)


def _filled(url: str, values: dict[str, str]) -> str:
    # EDGAR's own number of a company is filled in by who looks it up.
    return _PLACEHOLDER.sub(
        lambda match: quote(values[match[1]], safe="") if match[1] in values else match[0], url
    )


def _listed(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "(none)"
