"""Data set specification: the label rule, everything that decides content, and its identity."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.dataset.spec.clock import ClockSpec
from tasks.dataset.spec.features import (
    FeatureSpec,
    places,
    require_places,
    wanted_features,
)
from tasks.dataset.spec.render import EXAMPLE_FIELDS, HEADLINE_FIELDS, RenderSpec, positional
from tasks.dataset.spec.split import SplitSpec


class LabelSpec(BaseModel):
    """The return of session s is `exit / entry - 1`; its sign, outside a dead band, is the label.

    A price that did not move at all gets no label.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry: Literal["open", "previous_close"] = "open"
    """The entry price: the open of s, or the close of the session before."""
    horizon: int = Field(default=1, ge=1, le=60)
    """Exit is the close so many sessions on, s itself counting as the first."""
    dead_band: tuple[float, float] = (0.0, 0.0)
    """Returns above the second number are up, returns at or below the first are down, and those
    between get no label. Fractions: 0.01 is one percent."""
    basis: Literal["as_of", "vendor_adjusted"] = "as_of"
    """`as_of` compares prices as quoted, carried over the recorded splits between the two;
    `vendor_adjusted` takes the vendor's adjusted close at both ends, which later dividends
    restate: it exists to compare with the literature."""
    across_split: Literal["adjust", "drop"] = "adjust"
    """`drop` gives no label to a window that a recorded split falls into."""
    benchmark: str | None = None
    """Ticker whose return over the same window is subtracted first; none: nothing is."""

    @model_validator(mode="after")
    def _ordered(self) -> LabelSpec:
        lower, upper = self.dead_band
        if not -1.0 < lower <= 0.0 <= upper < 1.0:
            raise ValueError(
                f"dead_band is ({lower}, {upper}); expected lower <= 0 <= upper, as fractions "
                "of the entry price (0.005 is half a per cent)."
            )
        return self


class DatasetSpec(BaseModel):
    """Everything that decides a data set's content, given the warehouse."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(
        default=None, exclude=True, max_length=40, pattern=r"^[a-z0-9-]*[g-z-][a-z0-9-]*$"
    )
    """What the data sets built from it are called; no part of their identity. It holds a letter
    beyond f or a hyphen, so that it is never taken for the beginning of an id. None: they have
    no name."""
    tickers: tuple[str, ...] | None = None
    """Which tickers have examples; none: every one."""
    # Left out where unset: specs from before universes had dates keep their identity.
    universe: str | None = Field(default=None, exclude_if=lambda name: name is None)
    """A dated universe of the warehouse: only its members on a session have an example of it. None:
    membership is not asked."""
    min_headlines: int = Field(default=1, ge=0)
    """A session enters with at least so many stories; with 0, every session of every ticker that
    has bars does."""
    clock: ClockSpec = ClockSpec()
    label: LabelSpec = LabelSpec()
    render: RenderSpec = RenderSpec()
    split: SplitSpec = SplitSpec()
    files: Literal["whole", "monthly"] = "whole"
    """`monthly` writes one file per split and month, of which a later build takes over what has not
    changed."""
    # Left out where there are none: a specification from before there were any keeps its identity.
    features: tuple[FeatureSpec, ...] = Field(default=(), exclude_if=lambda given: not given)
    """Columns of your own: in the prompt where the template has places for them, and in the numbers
    that the cheap baselines read."""

    @model_validator(mode="after")
    def _features_fill_their_places(self) -> DatasetSpec:
        require_places(self.features, self.render.feature_places)
        return self

    @property
    def spec_id(self) -> str:
        """Identity of the examples: of all but the split and the files, which only sort them."""
        return _digest(self.model_dump_json(exclude={"split", "files"}))

    @property
    def digest(self) -> str:
        """Identity of the whole specification."""
        return _digest(self.model_dump_json())

    @property
    def tradable(self) -> bool:
        """Whether the entry price could still be had when the decision was taken."""
        return not (self.clock.at == "open" and self.label.entry == "previous_close")

    def sql_parameters(self) -> dict[str, Any]:
        """The specification as the `$names` of the warehouse's example and split statements.

        Durations are intervals, dates inclusive sessions, dead band and shares fractions.
        """
        clock, label, render, split = self.clock, self.label, self.render, self.split
        return {
            "spec_id": self.spec_id,
            "tradable": self.tradable,
            "tickers": None if self.tickers is None else list(self.tickers),
            "universe": self.universe,
            "min_headlines": self.min_headlines,
            "monthly": self.files == "monthly",
            "exchange": clock.exchange,
            "decide_at": clock.at,
            "lead": clock.lead,
            "bar_lag": clock.bar_lag,
            "entry": label.entry,
            "horizon": label.horizon,
            "one_session": label.entry == "open" and label.horizon == 1,
            "lower": label.dead_band[0],
            "upper": label.dead_band[1],
            **label.model_dump(include={"basis", "across_split", "benchmark"}),
            **render.model_dump(
                include={"max_headlines", "max_title_chars", "max_tokens", "mask"}
                | {"separator", "return_window"}
            ),
            "uses_features": bool(self.features),
            "wanted_features": wanted_features(self.features),
            "feature_sets": [feature.name for feature in self.features],
            "template": positional(render.template, EXAMPLE_FIELDS, places(self.features)),
            "headline_template": positional(render.headline_template, HEADLINE_FIELDS),
            "uses_context": render.uses_context,
            "uses_summary": render.uses_summary,
            "uses_age": render.uses_age,
            "lookback": render.return_window if render.uses_context else 0,
            "up": render.answers[0],
            "down": render.answers[1],
            **split.sql_parameters(),
        }


def _digest(text: str) -> str:
    canonical = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
