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
    """Where an item of an answer keeps what a headline is made of, as paths within the item.

    `tickers`: a text with symbols parted by commas, or a list of them, or of objects that name one
    as `ticker`, `symbol` or `name`. `publisher` is cut off the end of titles that carry it.
    """

    model_config = _FROZEN

    title: FieldPath
    published: FieldPath
    updated: FieldPath | None = None
    summary: FieldPath | None = None
    link: FieldPath | None = None
    id: FieldPath | None = None
    tickers: FieldPath | None = None
    publisher: FieldPath | None = None


class PagingSpec(BaseModel):
    """How the further pages of an answer are asked for.

    `page`: by number, `offset`: by the number of items before, both in `parameter`, counted from
    `first` (by default 1 and 0); a page with fewer than `size` items is the last. `cursor`: by the
    token at `next`, in `parameter`. `next_url`: at the address at `next`, which must lie on the
    same host. After `pages` pages a search goes on in halves of its range.
    """

    model_config = _FROZEN

    kind: Literal["none", "page", "offset", "cursor", "next_url"] = "none"
    parameter: str | None = None
    next: FieldPath | None = None
    first: int | None = Field(default=None, ge=0)
    size: int | None = Field(default=None, ge=1)
    pages: int = Field(default=50, ge=1)

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
    """How a JSON news API answers; the address and its parameters are those of the feed.

    `items` is the path of the list of items, empty where the answer is that list. `times` says how
    times are written ("detect": in any way that dates of feeds are), `instants` how `{since}`,
    `{until}` and `{before}` are. `headers` are sent with each request; one that is a secret refers
    to it as `${NAME}`. An answer with anything at one of the paths `errors`, or without its list
    (with `empty_object`: apart from `{}`, which then holds no items), is an error. `lenient`:
    control characters and stray backslashes in its texts are passed over.
    """

    model_config = _FROZEN

    items: FieldPath = ""
    fields: ApiFields
    times: TimeFormat = "detect"
    instants: InstantFormat = "iso"
    headers: dict[str, str] = Field(default_factory=dict)
    paging: PagingSpec = PagingSpec()
    errors: tuple[FieldPath, ...] = (
        "error", "errors", "Error Message", "message", "detail", "fault", "Note", "Information",
    )  # fmt: skip
    empty_object: bool = False
    lenient: bool = False

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
