"""The whole recipe of a data set, and its identity."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.dataset.spec.clock import ClockSpec
from tasks.dataset.spec.label import LabelSpec
from tasks.dataset.spec.render import RenderSpec
from tasks.dataset.spec.split import SplitSpec


class DatasetSpec(BaseModel):
    """Everything that decides a data set's content, given the warehouse.

    `tickers=None` takes every ticker. A session enters with at least `min_headlines` stories;
    with 0, every session of every ticker that has bars does. `files="monthly"` writes one file
    per split and month, of which a later build takes over what has not changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tickers: tuple[str, ...] | None = None
    min_headlines: int = Field(default=1, ge=0)
    clock: ClockSpec = ClockSpec()
    label: LabelSpec = LabelSpec()
    render: RenderSpec = RenderSpec()
    split: SplitSpec = SplitSpec()
    files: Literal["whole", "monthly"] = "whole"

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


def literature_spec() -> DatasetSpec:
    """The rule and dates of Xu and Cohen (2018), "Stock Movement Prediction from Tweets".

    Adjusted close to adjusted close with a dead band of -0.5%/+0.55%; training 2014-01 to
    2015-07, validation 2015-08 to 2015-09, test 2015-10 to 2015-12. Not tradable.
    """
    return DatasetSpec(
        label=LabelSpec(
            entry="previous_close", dead_band=(-0.005, 0.0055), basis="vendor_adjusted"
        ),
        split=SplitSpec(
            start=date(2014, 1, 1),
            train_until=date(2015, 7, 31),
            validation_until=date(2015, 9, 30),
            end=date(2015, 12, 31),
        ),
    )


def _digest(text: str) -> str:
    canonical = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
