"""From the warehouse to a data set on disk: sessions, examples, split, files, manifest."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path

import pyarrow as pa

from tasks.dataset.code_version import code_version
from tasks.dataset.spec.card import CARD, card
from tasks.dataset.spec.clock import calendar_version, calendar_years
from tasks.dataset.spec.dataset import DatasetSpec
from tasks.dataset.spec.manifest import (
    DatasetManifest,
    FeatureEntry,
    FileEntry,
    SplitEntry,
    UniverseEntry,
)
from tasks.dataset.spec.split import FINAL
from warehouse.lake import Lake
from warehouse.storage.atomic import publish_folder, write_text
from warehouse.tables.datasets import Part, assign_splits, changed_from, name_dataset, write_parts
from warehouse.tables.examples import CountTokens, Parameters, build_examples, needed_sessions
from warehouse.tables.sessions import publish_sessions

SAMPLE_ROWS = 3
"""How many rows of the training split the card shows."""


def assemble_dataset(
    lake: Lake,
    spec: DatasetSpec,
    root: Path,
    *,
    now: datetime,
    count_tokens: CountTokens | None = None,
) -> DatasetManifest:
    """Bring the examples of `spec` up to date and write them as `root/DATASET_ID/`.

    `now` (UTC) decides how far ahead sessions are laid out and is noted in `datasets`; no byte
    of the data set depends on it. The same content and spec give the same id and the same bytes;
    then nothing is written and the manifest on disk is returned. Raises LookaheadError if a row
    knows the future, CalendarError for an exchange without a calendar, UniverseError if the
    warehouse does not hold the spec's dated universe.
    """
    refresh_examples(lake, spec, now=now, count_tokens=count_tokens)
    snapshot_id = lake.snapshot_id()
    manifest, folder = write_dataset(lake, spec, root, snapshot_id, previous=_previous(lake, spec))
    _register(lake, manifest, folder, now)
    if spec.name is not None:
        name_dataset(lake, spec.name, manifest.dataset_id, now)
    return manifest


def write_dataset(
    lake: Lake,
    spec: DatasetSpec,
    root: Path,
    snapshot_id: int,
    *,
    previous: PreviousBuild | None = None,
) -> tuple[DatasetManifest, Path]:
    """Sort the examples the lake shows into splits and write them below `root`.

    Files of `previous` whose rows have not changed since are taken over without being read.
    Returns the manifest on disk and the data set's folder.
    """
    parameters = spec.sql_parameters()
    counts, dropped, parts = assign_splits(lake, parameters)
    universe = _universe(lake, spec)

    def fill(folder: Path) -> str:
        names = spec.split.names
        files = _files(lake, parameters, _with_empty(parts, names), folder, previous)
        found = {row.pop("split"): row for row in counts.to_pylist()}
        if FINAL in names:
            found[FINAL] = {**found.get(FINAL, {}), "up": None, "down": None}
        manifest = DatasetManifest(
            dataset_id=_identity(spec, files, universe),
            spec_id=spec.spec_id,
            spec=spec,
            snapshot_id=snapshot_id,
            code_version=code_version(),
            tradable=spec.tradable,
            splits={
                split: SplitEntry(**found.get(split, {}), files=tuple(files[split]))
                for split in names
            },
            dropped={row["drop_reason"]: row["rows"] for row in dropped.to_pylist()},
            granularity=_granularity(lake),
            features=_features(lake, spec),
            universe=universe,
        )
        shown = card(manifest, synthetic=_synthetic(lake), samples=_first_rows(folder, files))
        write_text(folder / CARD, shown)
        write_text(folder / "manifest.json", manifest.model_dump_json(indent=2) + "\n")
        return manifest.dataset_id

    dataset_id, _ = publish_folder(root, fill, last="manifest.json")
    text = (root / dataset_id / "manifest.json").read_text(encoding="utf-8")
    return DatasetManifest.model_validate_json(text), root / dataset_id


def _universe(lake: Lake, spec: DatasetSpec) -> UniverseEntry:
    if spec.universe is None:
        return UniverseEntry()
    (found,) = lake.read("universe_described", spec.sql_parameters()).to_pylist()
    return UniverseEntry(chosen="dated", name=spec.universe, **found)


def _files(
    lake: Lake,
    parameters: Parameters,
    parts: list[Part],
    folder: Path,
    previous: PreviousBuild | None,
) -> dict[str, list[FileEntry]]:
    """Bring the files of all parts into `folder`; those of each split, in order."""
    held = [previous.take_over(part, folder) if previous else [] for part in parts]
    fresh = [part for part, entries in zip(parts, held, strict=True) if not entries]
    files: dict[str, list[FileEntry]] = {part.split: [] for part in parts}
    with closing(write_parts(lake, parameters, fresh, folder)) as written:
        for part, entries in zip(parts, held, strict=True):
            files[part.split] += entries or [
                FileEntry(**asdict(file), rows=part.rows, membership=part.membership)
                for file in next(written)
            ]
    return files


def _granularity(lake: Lake) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in lake.read("headlines_granularity").to_pylist():
        found.setdefault(row["source"], {})[row.get("granularity", "unknown")] = row["headlines"]
    return found


def _synthetic(lake: Lake) -> dict[str, float]:
    rows = lake.read("sources_synthetic").to_pylist()
    return {row["source"]: row["share"] for row in rows}


def _first_rows(folder: Path, files: dict[str, list[FileEntry]]) -> list[dict[str, object]]:
    """The first rows of the training split, to be shown on the card."""
    names = [entry.name for entry in files["train"] if entry.rows and ".jsonl" in entry.name]
    if not names:
        return []
    with (folder / names[0]).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, SAMPLE_ROWS)]


def _features(lake: Lake, spec: DatasetSpec) -> dict[str, FeatureEntry]:
    if not spec.features:
        return {}
    rows = lake.read("dataset_features", spec.sql_parameters()).to_pylist()
    return {row.pop("name"): FeatureEntry(**row) for row in rows}


@dataclass(frozen=True)
class PreviousBuild:
    """An earlier data set of the same spec, and the first session changed since it was read."""

    folder: Path
    manifest: DatasetManifest
    changed_from: date | None

    def take_over(self, part: Part, folder: Path) -> list[FileEntry]:
        """Link the part's files into `folder` if they would be the same; else an empty list."""
        if self.changed_from is not None and part.last_session >= self.changed_from:
            return []
        entries = [
            entry
            for entry in self.manifest.splits[part.split].files
            if entry.name.rpartition(".")[0] == f"{part.split}{part.suffix}"
            and (entry.rows, entry.membership) == (part.rows, part.membership)
        ]
        sources = [self.folder / entry.name for entry in entries]
        if not all(source.is_file() for source in sources):
            return []
        for source in sources:
            os.link(source, folder / source.name)
        return entries


def _previous(lake: Lake, spec: DatasetSpec) -> PreviousBuild | None:
    rows = lake.read("dataset_last", {"spec_digest": spec.digest}).to_pylist()
    if not rows or not rows[0]["is_followable"]:
        return None
    manifest = DatasetManifest.model_validate_json(rows[0]["manifest"])
    since = changed_from(lake, spec.spec_id, rows[0]["snapshot_id"])
    return PreviousBuild(lake.spec.placed(rows[0]["path"]), manifest, since)


def _with_empty(parts: list[Part], names: tuple[str, ...]) -> list[Part]:
    """The parts, and one whole empty one for each split that has none."""
    present = {part.split for part in parts}
    absent = [split for split in names if split not in present]
    return [*parts, *(Part(split, "", date.min, date.min, 0, "", []) for split in absent)]


def refresh_examples(
    lake: Lake, spec: DatasetSpec, *, now: datetime, count_tokens: CountTokens | None = None
) -> int:
    """Bring sessions and examples of `spec` up to date; returns the number of changed examples.

    Sessions are laid out past `now`, so that the next one is there to be predicted.
    """
    lay_out_sessions(lake, spec, now)
    return build_examples(lake, spec.sql_parameters(), count_tokens)


def lay_out_sessions(lake: Lake, spec: DatasetSpec, now: datetime) -> None:
    """Store the sessions of every exchange in use, from before its first datum to past `now`."""
    # A calendar ends on a session, up to a holiday week away from the date that is needed.
    margin = timedelta(days=34 + 2 * spec.label.horizon)
    spans = {
        row["exchange"]: (row["first_date"] - margin, max(row["last_date"], now.date()) + margin)
        for row in needed_sessions(lake, spec.sql_parameters()).to_pylist()
    }
    publish_sessions(lake, spans, calendar_years, calendar_version())


def _identity(spec: DatasetSpec, files: dict[str, list[FileEntry]], universe: UniverseEntry) -> str:
    lines = [entry for entries in files.values() for entry in entries if ".jsonl" in entry.name]
    content = {entry.name: entry.sha256 for entry in lines}
    made_of: dict[str, object] = {"spec": spec.digest, "content": content}
    if universe.sha256 is not None:
        made_of["universe"] = universe.sha256
    text = json.dumps(made_of, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _register(lake: Lake, manifest: DatasetManifest, folder: Path, now: datetime) -> None:
    if lake.read("dataset_registered", {"dataset_id": manifest.dataset_id}).num_rows:
        return
    row = pa.table(
        {
            "dataset_id": [manifest.dataset_id],
            "spec_id": [manifest.spec_id],
            "spec_digest": [manifest.spec.digest],
            "snapshot_id": pa.array([manifest.snapshot_id], pa.int64()),
            "created_at": pa.array([now], pa.timestamp("us", tz="UTC")),
            "path": [lake.spec.named(folder)],
            "manifest": [(folder / "manifest.json").read_text(encoding="utf-8")],
        }
    )
    lake.transact(lambda tx: tx.append("datasets", row))
