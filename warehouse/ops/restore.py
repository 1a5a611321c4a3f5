"""Restore: a backup becomes the warehouse of an empty place, whole or not at all.

While it goes on, storage and landing zone say so, and no command reads or writes there; a restore
that was interrupted is run again and goes on. The catalog is put in place whole, after every file.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from warehouse.lake.connection import WriterLock
from warehouse.lake.identity import MARK, RESTORING, is_restoring, mark_in
from warehouse.lake.spec import LakeSpec
from warehouse.ops.backup import (
    MANIFEST,
    BackupError,
    BackupManifest,
    described,
    trees,
    verify_backup,
)
from warehouse.ops.catalog_copy import CatalogCopyError, is_taken, put_back_catalog
from warehouse.storage.object_store import ByteStore


def restore(folder: Path, spec: LakeSpec) -> BackupManifest:
    """Make the backup in `folder` the warehouse of `spec`, which must have no catalog.

    The backup is verified first, and what has been written is read again. Folders and buckets,
    paths and names may differ from those it came from; the kind of catalog may not. Run it again
    after an interruption. Raises BackupError or CatalogCopyError before anything is written.
    """
    manifest = verify_backup(folder)
    if manifest.catalog_kind != spec.catalog_kind:
        raise BackupError(
            f"The backup holds a {manifest.catalog_kind} catalog, but the configured one is "
            f"{spec.catalog_kind}. Set warehouse.catalog to a {manifest.catalog_kind} catalog."
        )
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()[:16]
    begun = f"{RESTORING} of {digest}"
    with WriterLock(spec):
        stores = list(trees(spec))
        marks = [_mark(store) for _, store in stores]
        _require_place(manifest, spec, marks, begun)
        for _, store in stores:
            store.drop_partial(datetime.now(UTC))
            store.write(MARK, begun.encode())
        for tree, store in stores:
            _put_back_files(folder, manifest, tree, store)
        warehouse_id = put_back_catalog(folder / manifest.catalog, spec)
        for _, store in stores:
            store.write(MARK, f"{warehouse_id}\n".encode())
    return manifest


def _put_back_files(folder: Path, manifest: BackupManifest, tree: str, target: ByteStore) -> None:
    """Write the files of one tree, but for those that are there already, to the byte."""
    for file in manifest.files:
        name = file.name.removeprefix(f"{tree}/")
        if name in (file.name, MARK):
            continue
        with suppress(FileNotFoundError), target.open(name) as stream:
            if described(file.name, stream) == file:
                continue
        target.write(name, (folder / file.name).read_bytes())
        with target.open(name) as stream:
            if described(file.name, stream) != file:
                raise BackupError(f"{file.name} was not stored as sent; check the storage.")


def _require_place(
    manifest: BackupManifest, spec: LakeSpec, marks: list[str | None], begun: str
) -> None:
    """Raise unless there is no catalog, or one of an interrupted restore, and no other's files."""
    interrupted = any(map(is_restoring, marks))
    if is_taken(spec) and not (interrupted and (spec.catalog_kind == "sqlite" or begun in marks)):
        raise CatalogCopyError(
            f"There is a catalog at {spec.catalog_kind}:{spec.catalog_location} already; expected "
            "none. A restore never overwrites: name an empty place, or move the old one away."
        )
    own = manifest.warehouse_id  # None in backups from before there were marks
    for mark in marks:
        if mark is not None and not is_restoring(mark) and own not in (None, mark):
            raise BackupError(
                f"There are files of the warehouse {mark} in {spec.storage} or {spec.landing}, but "
                f"the backup is of {own}. Name an empty place, or move these files away."
            )


def _mark(store: ByteStore) -> str | None:
    with suppress(FileNotFoundError), store.open(MARK) as stream:
        return mark_in(stream.read().decode(errors="replace"))
    return None
