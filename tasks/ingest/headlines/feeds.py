"""Feeds: their specs and the shipped presets."""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.ingest.headlines.api_spec import ApiSpec
from tasks.ingest.headlines.dates import DeclaredGranularity, require_zone
from tasks.ingest.http.redaction import redacted

PLACEHOLDER = re.compile(r"(?<!\$)\{(\w*)\}")
"""A place in an address that each request fills in."""
_BEGINS, _ENDS = {"start", "since"}, {"end", "last", "until", "before"}
"""Placeholders for the two ends of a search's range."""


class UnknownFeedError(ValueError):
    """No preset has the name that was given."""


class EdgarSpec(BaseModel):
    """How filings of the SEC's EDGAR are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    forms: tuple[str, ...] = ("8-K", "10-Q", "10-K", "6-K")
    """Forms that become events, with their amendments (8-K/A)."""
    ciks: dict[str, int] = Field(default_factory=dict)
    """CIK numbers of tickers that the shipped list of the SEC has otherwise or not at all."""
    headers: Literal["undecided", "all", "never"] = "undecided"
    """Of which filings the SGML header is fetched, which alone tells the second of acceptance for
    sure: those that their answer leaves `undecided`, `all`, or none (`never`; undecided ones
    then have the later reading)."""
    documents: bool = False
    """Fetch the document of each 8-K too, for what it says of its press release."""
    archives: str = "https://www.sec.gov/Archives/edgar/data"
    """Address of EDGAR's archives, below which documents and headers lie."""


class FeedSpec(BaseModel):
    """One feed.

    In configuration, `preset` stands for all fields of a shipped feed, or of one in a TOML file;
    others given override it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """Name of the feed, and of its source where `publisher` is not given."""
    url: str
    """Address. It may hold `{ticker}` and, for a search, `{start}` (first day) and `{end}` (the day
    after the last), ISO dates both. `${NAME}` in it is a secret, the environment variable NAME;
    one that is spelled out instead is hidden wherever the address is kept or shown. With `api`
    its parameters may also hold `{last}` (the last day), `{since}`, `{until}` (first and last
    second of the range), `{before}` (the second after) and `{query}`; a poll's range is today
    and yesterday. With `edgar` a search is a company's submissions (`{cik}`), asked for the
    filing dates of a range, a poll the latest filings of all."""
    mode: Literal["poll", "search"] = "poll"
    """`poll`: the address serves its latest items, and an item counts as available once we have
    seen it. `search`: it answers for past days, which nobody saw happen; items count as
    available `lag` after the time they claim."""
    scope: Literal["ticker", "general"] = "ticker"
    """`ticker`: everything that the address answers is about that ticker. `general`: headlines are
    given to tickers by the names in them."""
    lag: timedelta = Field(default=timedelta(minutes=15), ge=timedelta(0))
    """How long after the time it claims an item of a search counts as available."""
    chunk: Literal["year", "month", "day"] = "year"
    """Calendar period that a search asks for at once, per ticker."""
    cap: int | None = Field(default=None, ge=1)
    """Most items that one answer holds: a search with so many is asked again in halves. None: no
    limit is known."""
    zone: str | None = None
    """IANA zone of dates that name none; none: such items are refused."""
    granularity: DeclaredGranularity = "detect"
    """What its dates are good for; `detect` finds stamps that are days by themselves."""
    grain: timedelta = Field(default=timedelta(0), ge=timedelta(0))
    """Stamps are rounded to multiples of it, and an item counts from the end of its grain."""
    clock_skew: timedelta = Field(default=timedelta(minutes=5), ge=timedelta(0))
    """How far in the future a stamp may lie of an item that is taken."""
    concurrency: int = Field(default=4, ge=1, le=32)
    """Requests under way at once."""
    synthetic: bool = False
    """Whether its texts are made up."""
    publisher: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """Source of its headlines, where one publisher has several feeds; none: `name`."""
    query: str | None = Field(default=None, min_length=1)
    """What `{query}` stands for; none: the address has none."""
    symbols: dict[str, str] = Field(default_factory=dict)
    """What the publisher calls a ticker, where it is not the same."""
    rate: float | None = Field(default=None, gt=0)
    """Most requests a second that its publisher wants; none: no limit."""
    edgar: EdgarSpec | None = None
    """How EDGAR is read; none: it is not EDGAR."""
    api: ApiSpec | None = None
    """How a JSON API is read; none: RSS or Atom."""
    verified_live: bool = False
    """Whether its address was seen to work."""

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "preset" not in given:
            return given
        return _overridden(preset_fields(given["preset"]), given)

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
        found = set(PLACEHOLDER.findall(self.url))
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
        found = set(PLACEHOLDER.findall(self.url))
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
            shipped[fields["name"]] = _overridden(shipped.get(fields.get("preset"), {}), fields)
    return shipped


def _overridden(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a preset under those given; of an API its parts are."""
    merged = base | {name: value for name, value in given.items() if name != "preset"}
    if isinstance(base.get("api"), dict) and isinstance(given.get("api"), dict):
        merged["api"] = base["api"] | given["api"]
    return merged


def _described(path: Path) -> dict[str, Any]:
    """The fields of the feed that a file describes. Raises UnknownFeedError."""
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnknownFeedError(
            f"The feed file {path} could not be read: {error}. Expected a TOML file with the "
            "fields of one feed: name, url, mode and the rest, and a table [api] if it is one."
        ) from error
    if str(fields.get("preset", "")).endswith(".toml"):
        raise UnknownFeedError(
            f"The feed file {path} builds on another file, {fields['preset']}; expected the name "
            "of a shipped preset, or none."
        )
    return _overridden(preset_fields(fields["preset"]), fields) if "preset" in fields else fields


def _listed(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names)) or "(none)"
