"""Manifest: what a data set is made of, and how to check it."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.dataset.spec.dataset import DatasetSpec

HOLDOUT = (
    "The split `final` is set aside: no predictor is scored on it and no outcome of it is shown "
    "until `newsvane dataset open-final` opens it, which it does once."
)


class FileEntry(BaseModel):
    """One file of the data set: name in its folder, sha256 in hex, size in bytes.

    `rows` and `membership` say how many rows, and a hash of which ones, it holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    bytes: int
    rows: int
    membership: str


class SplitEntry(BaseModel):
    """One split: size, balance, span, and files (each as JSON lines and as Parquet).

    Of the final holdout `up` and `down` are None: its balance is an outcome.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = 0
    up: int | None = 0
    down: int | None = 0
    sessions: int = 0
    tickers: int = 0
    first_session: date | None = None
    last_session: date | None = None
    files: tuple[FileEntry, ...] = ()


class FeatureEntry(BaseModel):
    """One column of one's own in the examples of all splits, counted in examples.

    `known` have a value. `observed` hold a row that was imported before their decision, `asserted`
    one that was imported after it: only its own `known_at` says that it could have been known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: int
    known: int
    observed: int
    asserted: int


class UniverseEntry(BaseModel):
    """How the tickers were chosen: dated by a file of memberships, or with hindsight, by a list.

    Of a dated universe: its `name`, a hash of its memberships, how many tickers were `members` at
    some time of the data set, and how many of them have no bar at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chosen: Literal["dated", "hindsight"] = "hindsight"
    name: str | None = None
    sha256: str | None = None
    members: int | None = None
    without_bars: int | None = None


class DatasetManifest(BaseModel):
    """The last file written of a data set: what it is made of, and how to check it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_id: str
    spec_id: str
    spec: DatasetSpec
    snapshot_id: int
    code_version: str
    tradable: bool
    splits: dict[str, SplitEntry]
    dropped: dict[str, int]
    granularity: dict[str, dict[str, int]] = {}
    """Headlines by source and by what their stamps are good for: second, minute or day."""
    features: dict[str, FeatureEntry] = Field(default={}, exclude_if=lambda found: not found)
    """What the examples of the splits know of each column of one's own, by SET.COLUMN."""
    universe: UniverseEntry = UniverseEntry()
    """Manifests from before universes had dates leave it out: theirs were lists."""

    @property
    def universe_in_words(self) -> str:
        """Whether the tickers were those of the day, in one sentence for a reader."""
        chosen = self.universe
        if chosen.chosen == "hindsight":
            return (
                "The universe was chosen with hindsight: one list of tickers stands for all "
                "sessions, and names that had failed or left before it was made are not in it "
                "(survivorship bias)."
            )
        return (
            f"The universe is as of the day: {chosen.members} tickers were members of "
            f"{chosen.name} at some time and have examples only while they were "
            f"({chosen.without_bars} have no bars at all; "
            f"{self.dropped.get('delisted', 0)} examples have no label because trading ended "
            "before it)."
        )
