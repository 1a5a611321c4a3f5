"""Manifest and card: what a data set says of itself."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.split import FINAL

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


def card(manifest: DatasetManifest) -> str:
    """The data set's card, in Markdown: what a reader must know before using it."""
    spec = manifest.spec
    lines = [
        f"# Data set {manifest.dataset_id}",
        "",
        "One row per ticker and trading session: the headlines that were available before the "
        "decision, and whether the price then rose or fell.",
        "",
        f"- Decision: {spec.clock.lead} before the "
        + ("open of the session." if spec.clock.at == "open" else "close of the session before."),
        f"- Label: {spec.label.entry.replace('_', ' ')} to close, {spec.label.horizon} session(s), "
        f"dead band {spec.label.dead_band[0]:+.2%} to {spec.label.dead_band[1]:+.2%}, "
        f"prices {spec.label.basis.replace('_', ' ')}.",
        "- Tradable: "
        + (
            "yes, the entry price is struck after the decision."
            if manifest.tradable
            else "**no**, the entry price was struck before the decision."
        ),
        f"- {manifest.universe_in_words}",
        f"- Warehouse snapshot {manifest.snapshot_id}, newsvane {manifest.code_version}.",
        "",
        "| split | rows | up | down | share up | sessions | tickers | from | to |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, split in manifest.splits.items():
        share = f"{split.up / split.rows:.1%}" if split.rows and split.up is not None else "-"
        up, down = ("-" if count is None else count for count in (split.up, split.down))
        lines.append(
            f"| {name} | {split.rows} | {up} | {down} | {share} | {split.sessions} "
            f"| {split.tickers} | {split.first_session or '-'} | {split.last_session or '-'} |"
        )
    if FINAL in manifest.splits:
        lines += ["", HOLDOUT]
    lines += ["", "Examples in no split, by reason:", ""]
    lines += [f"- {reason}: {rows}" for reason, rows in manifest.dropped.items()] or ["- none"]
    for source, found in manifest.granularity.items():
        counts = ", ".join(f"{count:,} to the {name}" for name, count in found.items())
        lines += ["", f"Headlines of {source} are dated: {counts}."]
    for name, entry in manifest.features.items():
        lines += ["", _feature_in_words(name, entry)]
    lines += ["", "Template of the input:", "", "```", spec.render.template, "```", ""]
    return "\n".join(lines)


def _feature_in_words(name: str, entry: FeatureEntry) -> str:
    share = entry.known / entry.examples if entry.examples else 0.0
    words = (
        f"Own column {name}: known in {share:.1%} of {entry.examples:,} examples; "
        f"{entry.observed:,} rest on rows imported before their decision, {entry.asserted:,} on "
        "rows imported after it, whose time is what the file asserts."
    )
    if entry.asserted and not entry.observed:
        words += " **Its whole history is asserted**: nobody watched any of it arrive."
    return words
