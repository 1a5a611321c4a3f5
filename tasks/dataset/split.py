"""The chronological split: whole sessions go to training, validation or test, in that order."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict, Field, model_validator

SPLITS = ("train", "validation", "test")


class SplitSpec(BaseModel):
    """Where the sessions are cut.

    Either both `train_until` and `validation_until` (inclusive session dates) are given, or the
    labelled sessions are cut by `fractions`. `start` and `end` (inclusive) bound the whole set.
    Rows of an earlier split whose label window reaches past the first decision of the next
    split are purged; `embargo` more sessions are left out before each cut.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: date | None = None
    end: date | None = None
    train_until: date | None = None
    validation_until: date | None = None
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    embargo: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _chronological(self) -> SplitSpec:
        if (self.train_until is None) != (self.validation_until is None):
            raise ValueError(
                "train_until and validation_until must be given together, or neither; "
                f"got {self.train_until} and {self.validation_until}."
            )
        stations = (self.start, self.train_until, self.validation_until, self.end)
        days = [day for day in stations if day is not None]
        if days != sorted(days):
            raise ValueError(
                "expected start <= train_until <= validation_until <= end; "
                f"got {', '.join(map(str, stations))}."
            )
        if min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise ValueError(f"fractions are {self.fractions}; expected three that add up to 1.")
        return self
