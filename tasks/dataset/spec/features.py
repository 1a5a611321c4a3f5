"""Features: columns of the user's own in an example, as known at its decision, and their places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.dataset.spec.render import positional

NAME = r"^[a-z][a-z0-9_]*$"
"""What a feature set and a column of it may be called."""

LINE_FIELDS = ("name", "value", "age")


class FeatureSpec(BaseModel):
    """Columns of one imported feature set that examples hold, and how they are worded.

    Of each column counts the last row known strictly before the decision, in the revision known
    then. In the prompt's template `{feature.NAME}` is the value, `{feature.NAME.age}` the full
    days since it was known, and `{features}` all columns of all sets, with semicolons between.
    What is not known reads `?`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    """Name of the feature set."""
    columns: tuple[str, ...] = Field(min_length=1)
    """Its columns that examples hold, in order."""
    time_to_live: timedelta | None = Field(default=None, gt=timedelta(0))
    """How old a row may be at the decision; none: as the set says, or however old."""
    digits: int = Field(default=2, ge=0, le=10)
    """Digits after the point of numbers."""
    template: str = "{name} {value}"
    """One column's words in `{features}`: places `{name}`, `{value}`, `{age}`."""

    @field_validator("columns")
    @classmethod
    def _named(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        for column in columns:
            if not re.fullmatch(NAME, column):
                raise ValueError(
                    f"the column {column!r} cannot be a name in a template; expected small letters,"
                    " digits and _, as in pe_ratio: give it one in [[features]] values"
                )
        return columns

    @field_validator("template")
    @classmethod
    def _readable(cls, template: str) -> str:
        positional(template, LINE_FIELDS)
        return template


def require_places(features: Iterable[FeatureSpec], used: Iterable[str]) -> None:
    """Raise ValueError for a column that two sets name, or a place that no column fills."""
    names = [column for feature in features for column in feature.columns]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(
            f"the column {doubled[0]!r} is named twice in dataset.features; expected every column "
            "once, as {feature.NAME} must mean one: name it otherwise in [[features]] values"
        )
    known = places(features)
    for place in used:
        if place not in known:
            listed = ", ".join(f"{{{name}}}" for name in known) or "none: dataset.features is empty"
            raise ValueError(
                f"the template has the place {{{place}}}, which no column of dataset.features "
                f"fills; expected one of: {listed}"
            )


def places(features: Iterable[FeatureSpec]) -> dict[str, int]:
    """The template's places for features by name, numbered from 1 as the warehouse fills them."""
    found: dict[str, int] = {}
    for number, (_, column) in enumerate(_columns(features)):
        found |= {f"feature.{column}": 2 * number + 2, f"feature.{column}.age": 2 * number + 3}
    return {"features": 1, **found} if found else {}


def wanted_features(features: Iterable[FeatureSpec]) -> list[dict[str, Any]]:
    """One row per column, in order, for the warehouse's statements: durations in microseconds."""
    return [
        {
            "place": number,
            "feature_set": feature.name,
            "name": column,
            "time_to_live_us": None
            if feature.time_to_live is None
            else feature.time_to_live // timedelta(microseconds=1),
            "digits": feature.digits,
            "line": positional(feature.template, LINE_FIELDS),
        }
        for number, (feature, column) in enumerate(_columns(features))
    ]


def _columns(features: Iterable[FeatureSpec]) -> Iterator[tuple[FeatureSpec, str]]:
    return ((feature, column) for feature in features for column in feature.columns)
