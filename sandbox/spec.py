"""The configuration of the loopback vendor: its market, its news, its faults and its clock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sandbox.faults import FaultPlan


class SandboxSpec(BaseModel):
    """The loopback vendor of the default profile. `now` is the moment it believes it is.

    With `url`, a vendor that already runs there is asked (`python -m sandbox --now …`), by any
    number of processes; what it offers and what goes wrong is then its own business. The market
    "universe" is made up as "synthetic" is, under the universe's own symbols. `recorded` is a
    folder of recorded answers that are given instead of made-up ones, if it is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(default=None, pattern=r"^http://127\.0\.0\.1:\d+$")
    market: Literal["bokeh", "synthetic", "universe"] = "bokeh"
    news: Literal["null", "planted"] = "planted"
    strength: float = Field(default=0.8, ge=0, le=1)
    coverage: float = Field(default=0.6, gt=0, le=1)
    seed: int = 20130301
    faults: FaultPlan = FaultPlan()
    recorded: Path | None = None
    now: datetime = datetime(2013, 3, 2, 12, 0, tzinfo=UTC)

    @model_validator(mode="after")
    def _aware(self) -> SandboxSpec:
        if self.now.tzinfo is None:
            raise ValueError(f"now {self.now} has no time zone; write e.g. 2013-03-02T12:00:00Z")
        return self
