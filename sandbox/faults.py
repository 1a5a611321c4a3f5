"""Faults the vendor can be told to commit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FaultPlan(BaseModel):
    """Which faults to commit, and when. Empty: the vendor behaves."""

    model_config = ConfigDict(frozen=True, extra="forbid")
