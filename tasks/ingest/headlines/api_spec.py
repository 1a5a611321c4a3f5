"""JSON news APIs described as data: where fields stand, how times and pages are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.ingest.http.redaction import know_value

FieldPath = str | tuple[str, ...]
"""Names from the outside in, parted by dots; a list of names where a name holds a dot itself.

A number is a place in a list; any other name after a list means that of each of its members.
"""
TimeFormat = Literal["detect", "iso", "rfc2822", "compact", "epoch", "epoch_ms"]
InstantFormat = Literal["iso", "iso_unzoned", "compact", "epoch", "epoch_ms"]

_FROZEN = ConfigDict(frozen=True, extra="forbid")
_REFERENCE = re.compile(r"\$\{\w+\}")
_OPEN_HEADERS = frozenset({"accept", "accept-language"})
_SPELLINGS = {
    "iso": "%Y-%m-%dT%H:%M:%SZ", "iso_unzoned": "%Y-%m-%dT%H:%M:%S", "compact": "%Y%m%d%H%M%S",
}  # fmt: skip


class ApiFields(BaseModel):
    """Where an item of an answer keeps what a headline is made of, as paths within the item."""

    model_config = _FROZEN

    title: FieldPath
    """The title."""
    published: FieldPath
    """When it was published."""
    updated: FieldPath | None = None
    """When it was changed; none: not said."""
    summary: FieldPath | None = None
    """The summary; none: there is none."""
    link: FieldPath | None = None
    """Address of the article; none: there is none."""
    id: FieldPath | None = None
    """Id of the item; none: there is none."""
    tickers: FieldPath | None = None
    """A text with symbols parted by commas, or a list of them, or of objects that name one as
    `ticker`, `symbol` or `name`; none: the feed's own ticker, or names in the title."""
    publisher: FieldPath | None = None
    """Who published it, cut off the end of titles that carry it; none: not said."""


class PagingSpec(BaseModel):
    """How the further pages of an answer are asked for."""

    model_config = _FROZEN

    kind: Literal["none", "page", "offset", "cursor", "next_url"] = "none"
    """`page`: by number, `offset`: by the number of items before, `cursor`: by the token at `next`,
    all three in `parameter`; `next_url`: at the address at `next`, which must lie on the same
    host."""
    parameter: str | None = None
    """Name of the parameter; none for `none` and `next_url`."""
    next: FieldPath | None = None
    """Path of the token or address of the next page; none for the other kinds."""
    first: int | None = Field(default=None, ge=0)
    """Where pages or items are counted from; none: 1 for `page`, else 0."""
    size: int | None = Field(default=None, ge=1)
    """A page with fewer items is the last; none: an empty one is."""
    pages: int = Field(default=50, ge=1)
    """After so many pages a search goes on in halves of its range."""

    @model_validator(mode="after")
    def _complete(self) -> PagingSpec:
        needed = {
            "page": ("parameter",),
            "offset": ("parameter",),
            "cursor": ("parameter", "next"),
            "next_url": ("next",),
        }.get(self.kind, ())
        if missing := [name for name in needed if not getattr(self, name)]:
            raise ValueError(f"paging by {self.kind} needs {' and '.join(missing)}")
        return self

    @property
    def start(self) -> int:
        """What the first page counts as."""
        return (self.kind == "page") if self.first is None else self.first


class ApiSpec(BaseModel):
    """How a JSON news API answers; the address and its parameters are those of the feed."""

    model_config = _FROZEN

    items: FieldPath = ""
    """Path of the list of items, empty where the answer is that list."""
    fields: ApiFields
    """Where an item keeps what a headline is made of."""
    times: TimeFormat = "detect"
    """How times are written; `detect`: in any way that dates of feeds are."""
    instants: InstantFormat = "iso"
    """How `{since}`, `{until}` and `{before}` are written."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent with each request; one that is a secret refers to it as `${NAME}`."""
    paging: PagingSpec = PagingSpec()
    """How the further pages of an answer are asked for."""
    errors: tuple[FieldPath, ...] = (
        "error", "errors", "Error Message", "message", "detail", "fault", "Note", "Information",
    )  # fmt: skip
    """Paths at which an answer with anything is an error; so is one without its list."""
    empty_object: bool = False
    """Whether `{}` is an answer without items."""
    lenient: bool = False
    """Whether control characters and stray backslashes in its texts are passed over."""

    @field_validator("headers", mode="before")
    @classmethod
    def _no_spelled_out_secret(cls, given: object) -> object:
        if isinstance(given, Mapping):
            for name, value in given.items():
                if str(name).lower() in _OPEN_HEADERS or _REFERENCE.search(str(value)):
                    continue
                know_value(str(value))  # it is not to be shown in the error either
                raise ValueError(
                    f"the header {name} expected a reference to an environment variable, such as "
                    "${NEWS_KEY}: a key that is spelled out would be recorded with the run"
                )
        return given


def instant_text(moment: datetime, written: InstantFormat) -> str:
    """An instant (UTC) as a query parameter holds it, to the second."""
    if written in ("epoch", "epoch_ms"):
        return str(int(moment.timestamp()) * (1000 if written == "epoch_ms" else 1))
    return moment.astimezone(UTC).strftime(_SPELLINGS[written])


def instant_of(text: str, written: InstantFormat) -> datetime:
    """The instant (UTC) of `instant_text`. Raises ValueError for any other text."""
    if written in ("epoch", "epoch_ms"):
        seconds = int(text) // (1000 if written == "epoch_ms" else 1)
        return datetime.fromtimestamp(seconds, UTC)
    return datetime.strptime(text, _SPELLINGS[written]).replace(tzinfo=UTC)


def names_of(path: FieldPath) -> tuple[str, ...]:
    """The names of a path; none for that of the whole answer."""
    if isinstance(path, str):
        return tuple(path.split(".")) if path else ()
    return path


def value_at(given: Any, path: FieldPath) -> Any:
    """What stands at a path of a JSON value; None where something on the way is null or absent."""
    for place, name in enumerate(names_of(path)):
        if isinstance(given, list) and not name.isdigit():
            rest = names_of(path)[place:]
            return [value_at(member, rest) for member in given]
        if isinstance(given, list):
            given = given[int(name)] if int(name) < len(given) else None
        elif isinstance(given, dict):
            given = given.get(name)
        else:
            return None
    return given
