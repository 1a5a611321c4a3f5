"""Backup and restore of a whole warehouse, verified by hashes.

A backup is a folder: the catalog's copy, `lake/` (data files), `landing/` (payloads) and
`backup.json`, written last, with the sha256 of every file. Data files and payloads never change
once written, so a second backup into the same folder copies only what is new.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

from warehouse.lake import Lake
from warehouse.lake.lock import WriterLock
from warehouse.lake.spec import LakeError, LakeSpec
from warehouse.ops.catalog_copy import copy_catalog, copy_name, put_back_catalog, require_no_catalog
from warehouse.storage.object_store import ByteStore, FolderStore, open_store

MANIFEST = "backup.json"
TREES = ("lake", "landing")
_CHUNK = 1 << 20


class BackupError(LakeError):
    """A backup is not whole, or cannot be restored where it was asked to; nothing was restored."""


class BackedUp(BaseModel):
    """One file of a backup. `sha256` in hex, of the bytes as they lie there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    bytes: int
    sha256: str


class BackupManifest(BaseModel):
    """What a backup holds: the warehouse as of `snapshot_id`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalog_kind: str
    snapshot_id: int
    files: tuple[BackedUp, ...]


def back_up(spec: LakeSpec, folder: Path) -> BackupManifest:
    """Copy the warehouse into `folder`, new or that of an earlier backup of it.

    Writers wait while the catalog is copied, not while files are. Do not run maintenance at the
    same time: it deletes files. Files that the warehouse has since given up leave the backup too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _known(folder)
    (folder / MANIFEST).unlink(missing_ok=True)
    target = FolderStore(folder)
    with Lake.open(spec) as lake, WriterLock(spec):
        snapshot_id = lake.snapshot_id()
        catalog = copy_catalog(spec, folder)
    with catalog.open("rb") as stream:
        files = [_described(catalog.name, stream)]
    # The catalog's copy comes first: every file it names has been written by now.
    for tree, source in _trees(spec):
        for stored in source.listed():
            name = f"{tree}/{stored.name}"
            held = known.get(name)
            if held is None or not target.exists(name) or held.bytes != stored.bytes:
                held = _copied(source, stored.name, folder, name)
            files.append(held)
    _drop_strangers(target, {file.name for file in files})
    manifest = BackupManifest(
        catalog_kind=spec.catalog_kind,
        snapshot_id=snapshot_id,
        files=tuple(sorted(files, key=lambda file: file.name)),
    )
    target.write(MANIFEST, (manifest.model_dump_json(indent=2) + "\n").encode())
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
    for expected in manifest.files:
        try:
            with (folder / expected.name).open("rb") as stream:
                found = _described(expected.name, stream)
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


def restore(folder: Path, spec: LakeSpec) -> BackupManifest:
    """Make the backup in `folder` the warehouse of `spec`, which must be an empty place.

    The backup is verified first, and what has been written is read again at the end. Folders and
    buckets, paths and names may differ from those it came from; the kind of catalog may not.
    """
    manifest = verify_backup(folder)
    if manifest.catalog_kind != spec.catalog_kind:
        raise BackupError(
            f"The backup holds a {manifest.catalog_kind} catalog, but the configured one is "
            f"{spec.catalog_kind}. Set warehouse.catalog to a {manifest.catalog_kind} catalog."
        )
    require_no_catalog(spec)
    for tree, target in _trees(spec):
        for file in manifest.files:
            if file.name.startswith(f"{tree}/"):
                name = file.name.removeprefix(f"{tree}/")
                target.write(name, (folder / file.name).read_bytes())
                with target.open(name) as stream:
                    if _described(file.name, stream) != file:
                        raise BackupError(f"{file.name} was not stored as sent; check the storage.")
    # The catalog goes last: until then there is no warehouse that lacks files.
    put_back_catalog(folder / copy_name(spec.catalog_kind), spec)
    return manifest


def _trees(spec: LakeSpec) -> Iterator[tuple[str, ByteStore]]:
    for tree, location in zip(TREES, (spec.storage, spec.landing), strict=True):
        yield tree, open_store(location, spec.endpoint)


def _known(folder: Path) -> dict[str, BackedUp]:
    try:
        earlier = BackupManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return {}
    return {file.name: file for file in earlier.files}


def _copied(source: ByteStore, name: str, folder: Path, backed_up_as: str) -> BackedUp:
    path = folder / backed_up_as
    path.parent.mkdir(parents=True, exist_ok=True)
    with source.open(name) as stream, path.open("wb") as out:
        shutil.copyfileobj(stream, out, _CHUNK)
    with path.open("rb") as written:
        return _described(backed_up_as, written)


def _described(name: str, stream: BinaryIO) -> BackedUp:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return BackedUp(name=name, bytes=size, sha256=digest.hexdigest())


def _drop_strangers(target: FolderStore, names: set[str]) -> None:
    for stored in list(target.listed()):
        if stored.name.startswith(tuple(f"{tree}/" for tree in TREES)) and stored.name not in names:
            target.delete(stored.name)
