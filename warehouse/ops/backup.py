"""Backup and restore of a whole warehouse, verified by hashes.

A backup is a folder: the catalog's copy, `lake/` (data files), `landing/` (payloads) and
`backup.json`, written last, with the sha256 of every file. Data files and payloads never change
once written, so a second backup into the same folder copies only what is new.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import duckdb
from pydantic import BaseModel, ConfigDict, ValidationError

from warehouse.lake import Lake, sql
from warehouse.lake.connection import WriterLock, load_extension, quoted
from warehouse.lake.spec import LakeError, LakeSpec
from warehouse.ops.backup_names import foreign_name
from warehouse.storage.object_store import ByteStore, FolderStore, open_store

MANIFEST = "backup.json"
TREES = ("lake", "landing")
COPIES = {"sqlite": "catalog.sqlite", "postgres": "catalog.pgdump"}
"""The catalog's copy by its kind: one of the one kind cannot be restored into the other."""

_BLOCK = 1 << 20


class BackupError(LakeError):
    """A backup is not whole, or cannot be restored to that place; nothing was restored."""


class CatalogCopyError(LakeError):
    """The catalog could not be copied or put back; nothing was changed where it came from."""


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
        catalog = _copy_catalog(spec, folder / COPIES[spec.catalog_kind])
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
    _drop_unlisted(target, {file.name for file in files})
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
    _require_inside(folder, manifest)
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
    _require_no_catalog(spec)
    for tree, target in _trees(spec):
        for file in manifest.files:
            if file.name.startswith(f"{tree}/"):
                name = file.name.removeprefix(f"{tree}/")
                target.write(name, (folder / file.name).read_bytes())
                with target.open(name) as stream:
                    if _described(file.name, stream) != file:
                        raise BackupError(f"{file.name} was not stored as sent; check the storage.")
    # The catalog goes last: until then there is no warehouse that lacks files.
    _put_back_catalog(folder / COPIES[spec.catalog_kind], spec)
    return manifest


def _require_inside(folder: Path, manifest: BackupManifest) -> None:
    """Raise BackupError unless all that is named lies in the backup, and goes where it belongs."""
    names = [file.name for file in manifest.files]
    fault = foreign_name(folder, names, COPIES.get(manifest.catalog_kind, ""), TREES)
    if fault is not None:
        raise BackupError(
            f"The backup {folder} names {fault}; expected files of its own. No backup of ours is "
            "like that: nothing was read or restored; use another backup."
        )


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
        shutil.copyfileobj(stream, out, _BLOCK)
    with path.open("rb") as written:
        return _described(backed_up_as, written)


def _described(name: str, stream: BinaryIO) -> BackedUp:
    digest, size = hashlib.sha256(), 0
    while block := stream.read(_BLOCK):
        digest.update(block)
        size += len(block)
    return BackedUp(name=name, bytes=size, sha256=digest.hexdigest())


def _drop_unlisted(target: FolderStore, names: set[str]) -> None:
    for stored in list(target.listed()):
        if stored.name.startswith(tuple(f"{tree}/" for tree in TREES)) and stored.name not in names:
            target.delete(stored.name)


def _copy_catalog(spec: LakeSpec, target: Path) -> Path:
    """Write a consistent copy of the catalog, whoever else is at work on it."""
    if spec.catalog_kind == "postgres":
        words = ["--format=custom", "--no-owner", f"--file={target}"]
        _run("pg_dump", *words, f"--dbname={spec.catalog_location}")
        return target
    with (
        closing(sqlite3.connect(f"file:{spec.catalog_location}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
    return target


def _put_back_catalog(copy: Path, spec: LakeSpec) -> None:
    """Make `copy` the catalog of `spec`, whose storage it then points to."""
    if spec.catalog_kind == "postgres":
        words = ["--exit-on-error", "--single-transaction", "--no-owner"]
        _run("pg_restore", *words, f"--dbname={spec.catalog_location}", str(copy))
    else:
        Path(spec.catalog_location).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(copy, spec.catalog_location)
    with closing(_attached(spec)) as connection:
        storage = spec.storage.rstrip("/") + "/"
        connection.execute(sql.statement("catalog_moved").text, {"storage": storage})


def _require_no_catalog(spec: LakeSpec) -> None:
    """Raise CatalogCopyError when `spec` names a catalog that is in use: it is not overwritten."""
    if spec.catalog_kind == "sqlite":
        taken = Path(spec.catalog_location).exists()
    else:
        with closing(_attached(spec)) as connection:
            row = connection.execute(sql.statement("catalog_taken").text).fetchone()
            taken = row != (False,)
    if taken:
        raise CatalogCopyError(
            f"There is a catalog at {spec.catalog_kind}:{spec.catalog_location} already; expected "
            "none. A restore never overwrites: name an empty place, or move the old one away."
        )


def _attached(spec: LakeSpec) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    load_extension(connection, f"{spec.catalog_kind}_scanner")
    location = quoted(spec.catalog_location)
    connection.execute(f"ATTACH '{location}' AS catalog (TYPE {spec.catalog_kind})")
    return connection


def _run(program: str, *words: str) -> None:
    """Passwords reach the program through its environment (PGPASSWORD), never its arguments."""
    found = shutil.which(program)
    if found is None:
        raise CatalogCopyError(
            f"{program} is not installed; it copies a PostgreSQL catalog. Install PostgreSQL's "
            "client programs of the server's version (Debian: postgresql-client)."
        )
    done = subprocess.run([found, *words], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = next(iter(done.stderr.strip().splitlines()), "no message")
        raise CatalogCopyError(f"{program} failed: {reason}. Nothing else was done.")
