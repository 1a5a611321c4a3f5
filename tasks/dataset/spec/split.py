"""The chronological split: whole sessions go to training, validation or test, in that order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

SPLITS = ("train", "validation", "test")
FINAL: Final = "final"
"""The split of the final holdout, where a specification sets one aside."""


class SplitSpec(BaseModel):
    """Where the sessions are cut.

    Either both `train_until` and `validation_until` are given, or the labelled sessions are cut by
    `fractions`. Rows of an earlier split whose label window reaches past the first decision of the
    next split are purged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    start: date | None = None
    """First session of the whole set, inclusive; none: the first there is."""
    end: date | None = None
    """Last session of the whole set, inclusive; none: the last there is."""
    train_until: date | None = None
    """Last session of the training split, inclusive; none: cut by `fractions`."""
    validation_until: date | None = None
    """Last session of the validation split, inclusive; none: cut by `fractions`."""
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of the labelled sessions in training, validation and test."""
    embargo: int = Field(default=0, ge=0)
    """So many more sessions are left out before each cut."""
    # The identity of every data set covers this key, so it is written under its first name.
    cross_split_duplicates: Literal["drop", "keep"] = Field(
        default="drop",
        validation_alias=AliasChoices("cross_split_duplicates", "straddling"),
        serialization_alias="straddling",
    )
    """`drop` leaves out of the earlier split what shows a story that a later one shows again;
    manifests and older configurations call it `straddling`."""
    balance: Literal["as_is", "downsample"] = "as_is"
    """`downsample` evens the answers out in the training split, and there alone, by leaving out
    rows of the commoner one drawn by a hash."""
    balance_seed: int = 0
    """What that hash is of, besides the rows' names."""
    # Unset it is no part of what is written down: data sets keep the identity they had without it.
    final: Annotated[int, Field(ge=1)] | date | None = Field(
        default=None, exclude_if=lambda final: final is None
    )
    """Sets the last sessions aside as the final holdout: those from a date on, or the last so many
    that have a label. The three splits are then cut from what lies before. Nothing is scored on
    it, and no outcome of it is shown, until it is opened, once. None: nothing is set aside."""

    @field_validator("final", mode="before")
    @classmethod
    def _day_or_number(cls, given: object) -> object:
        # A number that is none of sessions would be read as seconds since 1970.
        if isinstance(given, str) and given.strip().isdigit():
            given = int(given)
        if isinstance(given, bool | float) or (isinstance(given, int) and given < 1):
            raise ValueError(
                f"final is {given}; expected the holdout's first day, such as 2024-01-02, or a "
                "number of sessions from 1."
            )
        return given

    @property
    def names(self) -> tuple[str, ...]:
        """The splits in order of time, the final holdout last where there is one."""
        return SPLITS if self.final is None else (*SPLITS, FINAL)

    def sql_parameters(self) -> dict[str, Any]:
        """The split as the `$names` of its statements: dates inclusive, shares fractions."""
        final = self.final
        return {
            **self.model_dump(exclude={"fractions", "final"}, by_alias=False),
            "train_share": self.fractions[0],
            "validation_share": self.fractions[1],
            "final_from": final if isinstance(final, date) else None,
            "final_sessions": final if isinstance(final, int) else 0,
        }

    @model_validator(mode="after")
    def _chronological(self) -> SplitSpec:
        if (self.train_until is None) != (self.validation_until is None):
            raise ValueError(
                "train_until and validation_until must be given together, or neither; "
                f"got {self.train_until} and {self.validation_until}."
            )
        bounds = (self.start, self.train_until, self.validation_until, self.end)
        days = [day for day in bounds if day is not None]
        if days != sorted(days):
            raise ValueError(
                "expected start <= train_until <= validation_until <= end; "
                f"got {', '.join(map(str, bounds))}."
            )
        if isinstance(self.final, date):
            self._holdout_comes_last(self.final)
        if min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise ValueError(f"fractions are {self.fractions}; expected three that add up to 1.")
        return self

    def _holdout_comes_last(self, first: date) -> None:
        cuts = [day for day in (self.start, self.train_until, self.validation_until) if day]
        if (cuts and first <= max(cuts)) or (self.end is not None and first > self.end):
            raise ValueError(
                f"final begins on {first}; expected a day after {max(cuts, default='the start')} "
                f"and up to {self.end or 'the end'}, or a number of sessions: the holdout is the "
                "last of the splits."
            )


class WalkForwardSpec(BaseModel):
    """Folds that move forward.

    Each fold's test begins where the last one's ended, so that every session is tested once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: int = Field(ge=1)
    """Sessions of training."""
    validation: int = Field(ge=1)
    """Sessions of validation."""
    test: int = Field(ge=1)
    """Sessions of test."""
    expanding: bool = True
    """Whether training reaches back to the first session; else it moves along."""


def walk_forward(
    sessions: Sequence[date], folds: WalkForwardSpec, base: SplitSpec | None = None
) -> tuple[SplitSpec, ...]:
    """The split of each fold over `sessions` (distinct, ascending), oldest first.

    Everything but the dates is taken from `base`, and no fold has a final holdout. A last fold
    with an incomplete test is left out. Raises ValueError if the sessions are not ascending or not
    enough for one fold.
    """
    if any(earlier >= later for earlier, later in pairwise(sessions)):
        raise ValueError("The sessions must be distinct and ascending; sort them first.")
    seen = folds.train + folds.validation
    if len(sessions) < seen + folds.test:
        raise ValueError(
            f"{len(sessions)} sessions are not enough for a fold of {folds.train} + "
            f"{folds.validation} + {folds.test}; shorten the folds or widen the window."
        )
    return tuple(
        (base or SplitSpec()).model_copy(
            update={
                "start": sessions[0 if folds.expanding else cut - seen],
                "train_until": sessions[cut - folds.validation - 1],
                "validation_until": sessions[cut - 1],
                "end": sessions[cut + folds.test - 1],
                "final": None,
            }
        )
        for cut in range(seen, len(sessions) - folds.test + 1, folds.test)
    )
