"""The configuration of the loopback vendor: its market, its news, its faults and its clock."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sandbox.faults import FaultPlan

Manner = Literal["delisted", "forgotten", "renamed"]


class Death(BaseModel):
    """One name's end.

    On each of the `decline` sessions before, it loses 6% from open to close.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ticker: str
    """The name that ends."""
    on: date
    """First exchange-local date on which it no longer trades as `ticker`."""
    manner: Manner = "delisted"
    """`delisted`: its bars end, and the vendor keeps them. `forgotten`: a week later Yahoo knows
    the symbol no more (404), while other vendors keep its bars. `renamed`: it trades on, at its
    small price, as `successor`."""
    successor: str | None = None
    """New symbol of a renamed name; none for the others."""
    decline: int = Field(default=40, ge=0)
    """Sessions of decline before."""

    def as_toml(self) -> str:
        """The death as an inline table of the configuration."""
        given = self.model_dump(mode="json", exclude_none=True)
        texts = {name: json.dumps(value) for name, value in given.items()} | {"on": str(self.on)}
        return f"{{ {', '.join(f'{name} = {text}' for name, text in texts.items())} }}"

    @model_validator(mode="after")
    def _named(self) -> Death:
        if (self.manner == "renamed") != (self.successor is not None):
            raise ValueError(
                f"{self.ticker} is {self.manner} with the successor {self.successor}; expected a "
                "successor of a renamed ticker, and of no other."
            )
        return self


class SandboxSpec(BaseModel):
    """The loopback vendor of the default profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(default=None, pattern=r"^http://127\.0\.0\.1:\d+$")
    """A vendor that already runs there is asked (`python -m sandbox --now …`), by any number of
    processes; what it offers and what goes wrong is then its own business. None: one is started
    for the run."""
    market: Literal["bokeh", "synthetic", "universe"] = "bokeh"
    """`bokeh`: real prices of five names; `synthetic`: made up; `universe`: made up in the same
    way, under the universe's own symbols."""
    news: Literal["null", "planted"] = "planted"
    """`null`: headlines know nothing of prices; `planted`: they know the session's move."""
    strength: float = Field(default=0.8, ge=0, le=1)
    """How often planted news is right: with probability (1 + strength) / 2."""
    coverage: float = Field(default=0.6, gt=0, le=1)
    """Share of ticker-sessions that have news."""
    seed: int = 20130301
    """Seed of market and news."""
    faults: FaultPlan = FaultPlan()
    deaths: tuple[Death, ...] = ()
    """Which names decline and end, when and how."""
    recorded: Path | None = None
    """Folder of recorded answers that are given instead of made-up ones, if it is there."""
    now: datetime = datetime(2013, 3, 2, 12, 0, tzinfo=UTC)
    """The moment that the vendor believes it is, an instant with its zone; nothing later exists."""

    @model_validator(mode="after")
    def _aware(self) -> SandboxSpec:
        if self.now.tzinfo is None:
            raise ValueError(f"now {self.now} has no time zone; write e.g. 2013-03-02T12:00:00Z")
        return self
