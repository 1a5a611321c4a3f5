"""Reproduction: compare two data sets, or build one again from its manifest."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tasks.dataset.build import write_dataset
from tasks.dataset.spec.card import CARD, card
from tasks.dataset.spec.manifest import DatasetManifest
from tasks.dataset.spec.split import SPLITS
from warehouse.lake import Lake, LakeSpec
from warehouse.tables.datasets import compare_splits, load_split
from warehouse.tables.examples import CountTokens, derived_examples


class ProvenanceError(RuntimeError):
    """A manifest or data set that cannot be read."""


@dataclass(frozen=True)
class DatasetDiff:
    """What differs between two data sets: settings by name, examples by what differs in them."""

    settings: dict[str, tuple[object, object]]
    examples: pa.Table

    def words(self) -> str:
        """The difference as text."""
        lines = [f"{name}: {a!r} -> {b!r}" for name, (a, b) in self.settings.items()]
        kinds = Counter(", ".join(kinds) for kinds in self.examples["differs"].to_pylist())
        lines += [f"{rows} examples differ in: {kind}" for kind, rows in kinds.most_common()]
        return "\n".join(lines) or "The data sets are the same."


@dataclass(frozen=True)
class Rebuild:
    """A data set built again; `differences` names every file that has other bytes than recorded."""

    manifest: DatasetManifest
    differences: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every file has the recorded hash."""
        return not self.differences


def read_manifest(path: Path) -> DatasetManifest:
    """The manifest at `path`, or in that folder. Raises ProvenanceError if it is not one."""
    file = path / "manifest.json" if path.is_dir() else path
    try:
        return DatasetManifest.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ProvenanceError(
            f"No data set manifest at {file}: {reason}. Expected the manifest.json of a built "
            "data set; find its folder with `newsvane dataset show`."
        ) from error


def read_card(folder: Path, manifest: DatasetManifest) -> str:
    """The card in a data set's folder, in Markdown; made of the manifest where there is none."""
    path = folder / CARD
    return path.read_text(encoding="utf-8") if path.is_file() else card(manifest)


def diff_datasets(lake: Lake, one: Path, other: Path) -> DatasetDiff:
    """Compare two data set folders: their settings, and row by row their examples.

    An example may be added or removed, or differ in split, headlines, wording, label, return or
    clock. A final holdout is left out.
    """
    a, b = (_flat(read_manifest(folder).spec.model_dump(mode="json")) for folder in (one, other))
    # A setting that is unset may not be written down at all.
    names = dict.fromkeys((*a, *b))
    settings = {n: (a.get(n), b.get(n)) for n in names if a.get(n) != b.get(n)}
    return DatasetDiff(settings, compare_splits(lake, _rows(one), _rows(other)))


def rebuild_dataset(
    lake_spec: LakeSpec,
    manifest: DatasetManifest,
    *,
    root: Path | None = None,
    count_tokens: CountTokens | None = None,
) -> Rebuild:
    """Build the data set again from the snapshot its manifest names, and compare every file.

    The warehouse is opened as it was then, read-only, and the examples are derived anew. The
    files are kept below `root` if given. Raises LakeError if the snapshot is gone.
    """
    with (
        tempfile.TemporaryDirectory() as aside,
        Lake.open(lake_spec, snapshot=manifest.snapshot_id) as lake,
        derived_examples(lake, manifest.spec.sql_parameters(), count_tokens),
    ):
        again, _ = write_dataset(lake, manifest.spec, root or Path(aside), manifest.snapshot_id)
    recorded, found = _hashes(manifest), _hashes(again)
    differences = [
        f"{name}: recorded {recorded.get(name, 'nothing')}, rebuilt {found.get(name, 'nothing')}"
        for name in sorted(recorded.keys() | found.keys())
        if recorded.get(name) != found.get(name)
    ]
    if differences and manifest.code_version != again.code_version:
        differences.append(f"code: {manifest.code_version} then, {again.code_version} now")
    return Rebuild(again, tuple(differences))


def _hashes(manifest: DatasetManifest) -> dict[str, str]:
    return {file.name: file.sha256 for split in manifest.splits.values() for file in split.files}


def _rows(folder: Path) -> pa.Table:
    tables = []
    for split in SPLITS:
        rows = load_split(folder / f"{split}.parquet")
        tables.append(rows.append_column("split", pa.array([split] * rows.num_rows, pa.string())))
    return pa.concat_tables(tables, promote_options="permissive")


def _flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in tree.items():
        flat |= (
            _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        )
    return flat
