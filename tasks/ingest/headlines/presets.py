"""Public feeds that are known by name."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from tasks.ingest.headlines.feeds import FeedSpec


class UnknownFeedError(ValueError):
    """No preset has the name that was asked for."""


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
