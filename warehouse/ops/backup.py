"""Backup of a whole warehouse, verified by hashes.

A backup is a folder: the catalog's copy, `lake/` (data files), `landing/` (payloads) and
`backup.json` with the sha256 of every file. Data files and payloads never change once written, so
a second backup into the same folder copies only what is new. Until it is whole the folder holds the
first one: files are written aside, the catalog's copy has a name of its own, and `backup.json` is
replaced last; only then is what it no longer lists deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from warehouse.lake import Lake
from warehouse.lake.connection import WriterLock
from warehouse.lake.spec import LakeError, LakeSpec
from warehouse.ops.backup_names import foreign_name
from warehouse.ops.catalog_copy import copy_catalog
from warehouse.storage.atomic import PARTIAL, sync, write_blocks
from warehouse.storage.landing import payload_name
from warehouse.storage.object_store import ByteStore, FolderStore, open_store

MANIFEST = "backup.json"
TREES = ("lake", "landing")
_BLOCK = 1 << 20


class BackupError(LakeError):
    """A backup is not whole, or cannot be made or restored there; the former one is as it was."""


class BackedUp(BaseModel):
    """One file of a backup. `sha256` in hex, of the bytes as they lie there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    bytes: int
    sha256: str


class BackupManifest(BaseModel):
    """What a backup holds: the warehouse as of `snapshot_id`, with the id of its catalog."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalog_kind: str
    warehouse_id: str | None = None
    snapshot_id: int
    files: tuple[BackedUp, ...]

    @property
    def catalog(self) -> str:
        """The name of the catalog's copy, the one file in neither tree; empty without one."""
        names = (file.name for file in self.files if file.name.startswith("catalog"))
        return next(names, "")


@dataclass(frozen=True)
class _Needed:
    """What the catalog needs: data files with their hashes (None: not known yet), and payloads."""

    data_files: dict[str, str | None]
    payloads: frozenset[str]

    @classmethod
    def by(cls, lake: Lake) -> _Needed:
        files = lake.scan("files_hashed", {}).to_pylist()
        referred = lake.scan("payloads_referred", {})["payload_id"].drop_null().to_pylist()
        return cls(
            {f"lake/{row['name']}": row["sha256"] for row in files},
            frozenset(f"landing/{payload_name(payload_id)}" for payload_id in referred),
        )


def back_up(spec: LakeSpec, folder: Path) -> BackupManifest:
    """Copy the warehouse into `folder`, new or that of an earlier backup of it.

    Writers wait while the catalog is copied, not while files are. Do not run maintenance at the
    same time: it deletes files. Files that the warehouse has since given up leave the backup too;
    those it has lost stay. Raises BackupError for a data file that is lost or damaged and not in
    the earlier backup either; until the end `folder` is the earlier backup.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "backup.lock"):
        with Lake.open(spec) as lake, WriterLock(spec):
            snapshot_id, needed = lake.snapshot_id(), _Needed.by(lake)
            (warehouse_id,) = lake.read("catalog_identity")["warehouse_id"].to_pylist()
            copy = copy_catalog(spec, folder)
            with copy.open("rb") as stream:
                catalog = described(copy.name, stream)
        # The catalog's copy comes first: every file it names has been written by now.
        files = [catalog, *_copy_trees(spec, folder, needed)]
        manifest = BackupManifest(
            catalog_kind=spec.catalog_kind,
            warehouse_id=warehouse_id,
            snapshot_id=snapshot_id,
            files=tuple(sorted(files, key=lambda file: file.name)),
        )
        for place in {folder, *((folder / file.name).parent for file in files)}:
            sync(place)
        FolderStore(folder).write(MANIFEST, (manifest.model_dump_json(indent=2) + "\n").encode())
        _drop_unlisted(folder, {file.name for file in files})
    return manifest


def verify_backup(folder: Path) -> BackupManifest:
    """Read every file of a backup again. Raises BackupError naming the first that is not right."""
    try:
        manifest = BackupManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise BackupError(
            f"{folder} holds no finished backup: {MANIFEST} is missing or unreadable. Run the "
            "backup again, or name another folder."
        ) from error
    _require_inside(folder, manifest)
    for expected in manifest.files:
        try:
            with (folder / expected.name).open("rb") as stream:
                found = described(expected.name, stream)
        except FileNotFoundError as error:
            raise BackupError(
                f"{expected.name} is missing from the backup {folder}. Use another backup."
            ) from error
        if found != expected:
            raise BackupError(
                f"{expected.name} in the backup {folder} hashes to {found.sha256[:12]}, expected "
                f"{expected.sha256[:12]}: it was altered or damaged. Use another backup."
            )
    return manifest


def _require_inside(folder: Path, manifest: BackupManifest) -> None:
    """Raise BackupError unless all that is named lies in the backup, and goes where it belongs."""
    names = [file.name for file in manifest.files]
    fault = foreign_name(folder, names, manifest.catalog, TREES)
    if not manifest.catalog:
        fault = "no catalog"
    if fault is not None:
        raise BackupError(
            f"The backup {folder} names {fault}; expected files of its own. No backup of ours is "
            "like that: nothing was read or restored; use another backup."
        )


def trees(spec: LakeSpec) -> Iterator[tuple[str, ByteStore]]:
    """The folders of a backup, each with the store whose files it holds."""
    for tree, location in zip(TREES, (spec.storage, spec.landing), strict=True):
        yield tree, open_store(location, spec.endpoint)


def described(name: str, stream: BinaryIO) -> BackedUp:
    """Size and hash of what a stream gives, under that name."""
    digest, size = hashlib.sha256(), 0
    for block in _blocks(stream):
        digest.update(block)
        size += len(block)
    return BackedUp(name=name, bytes=size, sha256=digest.hexdigest())


def _copy_trees(spec: LakeSpec, folder: Path, needed: _Needed) -> Iterator[BackedUp]:
    earlier = {file.name: file for file in _earlier(folder)}
    wanted = needed.data_files.keys() | needed.payloads
    for tree, source in trees(spec):
        for stored in source.listed():
            name = f"{tree}/{stored.name}"
            wanted -= {name}
            held = earlier.get(name)
            if held is None:
                yield _copied(source, stored.name, folder / name, name, needed)
            elif held.bytes != stored.bytes:
                raise BackupError(
                    f"{name} is {stored.bytes} bytes in the warehouse, but {held.bytes} in the "
                    f"backup {folder}, and such a file never changes: it is damaged. The backup is "
                    "as it was; restore it, or back up into another folder."
                )
            else:
                yield held
    for name in sorted(wanted):
        if name in earlier:
            yield earlier[name]
        elif name in needed.data_files:
            raise BackupError(
                f"{name} is missing from the warehouse and from the backup {folder}, which is as "
                "it was. See with `newsvane verify` what else is, and restore an older backup."
            )


def _earlier(folder: Path) -> Iterator[BackedUp]:
    """The files of the backup that is there already, less those that are not whole."""
    try:
        manifest = BackupManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return
    for file in manifest.files:
        path = folder / file.name
        if path.is_file() and path.stat().st_size == file.bytes:
            yield file


def _copied(source: ByteStore, stored: str, path: Path, name: str, needed: _Needed) -> BackedUp:
    digest, size = hashlib.sha256(), 0

    def read(stream: BinaryIO) -> Iterator[bytes]:
        nonlocal size
        for block in _blocks(stream):
            digest.update(block)
            size += len(block)
            yield block

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with source.open(stored) as stream:
            write_blocks(path, read(stream))
    except FileNotFoundError as error:
        raise BackupError(
            f"{name} went away while it was copied: maintenance ran at the same time. The earlier "
            "backup is as it was; run the backup again."
        ) from error
    expected = needed.data_files.get(name)
    if expected is not None and digest.hexdigest() != expected:
        path.unlink()
        raise BackupError(
            f"{name} in the warehouse hashes to {digest.hexdigest()[:12]}, expected "
            f"{expected[:12]}: it is damaged. The earlier backup is as it was; restore it, or see "
            "with `newsvane verify` what else is damaged."
        )
    return BackedUp(name=name, bytes=size, sha256=digest.hexdigest())


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _drop_unlisted(folder: Path, names: Iterable[str]) -> None:
    """Delete what the backup does not list: files given up, other copies, what was left aside."""
    listed = set(names)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        ours = name.startswith(("catalog", *(f"{tree}/" for tree in TREES)))
        if path.is_file() and name not in listed and (ours or path.suffix == PARTIAL):
            path.unlink()
