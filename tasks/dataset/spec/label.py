"""The label rule: which two prices are compared, and when their ratio counts as up or down."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class LabelSpec(BaseModel):
    """The return of session s is `exit / entry - 1`; its sign, outside a dead band, is the label.

    Entry is the `open` of s or the `previous_close`; exit is the close of the session `horizon`
    sessions on, s itself counting as the first. Returns above `dead_band[1]` are up, returns at
    or below `dead_band[0]` are down, and those between get no label; nor does a price that did
    not move at all.

    `basis="as_of"` compares prices as quoted, carried over the recorded splits between the two;
    `basis="vendor_adjusted"` takes the vendor's adjusted close at both ends, which later
    dividends restate: it exists to compare with the literature.
    With `benchmark`, that ticker's return over the same window is subtracted first.
    `across_split="drop"` gives no label to a window that a recorded split falls into.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry: Literal["open", "previous_close"] = "open"
    horizon: int = Field(default=1, ge=1, le=60)
    dead_band: tuple[float, float] = (0.0, 0.0)
    basis: Literal["as_of", "vendor_adjusted"] = "as_of"
    across_split: Literal["adjust", "drop"] = "adjust"
    benchmark: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> LabelSpec:
        lower, upper = self.dead_band
        if not -1.0 < lower <= 0.0 <= upper < 1.0:
            raise ValueError(
                f"dead_band is ({lower}, {upper}); expected lower <= 0 <= upper, as fractions "
                "of the entry price (0.005 is half a per cent)."
            )
        return self
