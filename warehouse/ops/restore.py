"""Restore: a backup becomes the warehouse of an empty place, whole or not at all.

While it goes on, storage and landing zone say so, and no command reads or writes there; a restore
that was interrupted is run again and goes on. The catalog is put in place whole, after every file.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from warehouse.lake import sql
from warehouse.lake.connection import WriterLock, catalog_beside
from warehouse.lake.identity import MARK, RESTORING, has_catalog, is_restoring, mark_in
from warehouse.lake.spec import LakeSpec
from warehouse.ops.backup import (
    MANIFEST,
    BackupError,
    BackupManifest,
    CatalogCopyError,
    described,
    run_client,
    trees,
    verify_backup,
)
from warehouse.storage.atomic import PARTIAL, sync
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
        _put_back_catalog(folder / manifest.catalog, spec)
        with catalog_beside(spec) as beside:
            warehouse_id = _identity(beside)
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


def _put_back_catalog(copy: Path, spec: LakeSpec) -> None:
    """Make `copy` the catalog of `spec`, which points to its storage then."""
    if spec.catalog_kind == "postgres":
        # One that is there is this backup's: that was required.
        if not has_catalog(spec):
            words = ["--exit-on-error", "--single-transaction", "--no-owner"]
            run_client("pg_restore", *words, f"--dbname={spec.catalog_location}", str(copy))
        _point_to_storage(spec, spec)
        return
    target = Path(spec.catalog_location)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}{PARTIAL}")
    # What a lost catalog left beside itself would be read as changes to this one.
    for ending in ("-wal", "-shm"):
        for path in (target, aside):
            path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)
    shutil.copyfile(copy, aside)
    _point_to_storage(spec.model_copy(update={"catalog": f"sqlite:{aside}"}), spec)
    sync(aside)
    aside.replace(target)
    sync(target.parent)


def _point_to_storage(catalog: LakeSpec, spec: LakeSpec) -> None:
    storage = spec.storage.rstrip("/") + "/"
    with catalog_beside(catalog) as beside:
        beside.execute(sql.statement("catalog_moved").text, {"storage": storage})


def _require_place(
    manifest: BackupManifest, spec: LakeSpec, marks: list[str | None], begun: str
) -> None:
    """Raise unless there is no catalog, or one of an interrupted restore, and no other's files."""
    interrupted = any(map(is_restoring, marks))
    if _is_taken(spec) and not (interrupted and (spec.catalog_kind == "sqlite" or begun in marks)):
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


def _is_taken(spec: LakeSpec) -> bool:
    """Whether a catalog is there, or in a SQLite file anything else that would be overwritten."""
    if has_catalog(spec):
        return True
    path = Path(spec.catalog_location)
    if spec.catalog_kind != "sqlite" or not path.is_file() or not path.stat().st_size:
        return False
    with catalog_beside(spec, read_only=True) as beside:
        return beside.execute(sql.statement("catalog_in_use").text).fetchone() == (True,)


def _mark(store: ByteStore) -> str | None:
    with suppress(FileNotFoundError), store.open(MARK) as stream:
        return mark_in(stream.read().decode(errors="replace"))
    return None


def _identity(catalog: duckdb.DuckDBPyConnection) -> str:
    (found,) = catalog.execute(sql.statement("catalog_restored_identity").text).fetchall()
    return str(found[0])
