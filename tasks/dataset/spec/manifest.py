"""Manifest and card: what a data set says of itself."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict

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
    lines += ["", "Template of the input:", "", "```", spec.render.template, "```", ""]
    return "\n".join(lines)
