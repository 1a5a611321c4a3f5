"""The catalog's copy: a SQLite file, or what pg_dump makes of a PostgreSQL database."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from warehouse.lake import sql
from warehouse.lake.connection import catalog_beside
from warehouse.lake.identity import has_catalog
from warehouse.lake.literals import filled
from warehouse.lake.spec import LakeError, LakeSpec
from warehouse.storage.atomic import PARTIAL, file_sha256, sync

ENDINGS = {"sqlite": ".sqlite", "postgres": ".pgdump"}
"""How the copy ends, by the catalog's kind: of the one kind cannot be restored into the other."""


class CatalogCopyError(LakeError):
    """The catalog could not be copied or put back; nothing was changed where it came from."""


def copy_catalog(spec: LakeSpec, folder: Path) -> Path:
    """Write a consistent copy of the catalog into `folder`, whoever is at work on it.

    It is named by its content, so that it replaces no earlier copy.
    """
    aside = folder / f"catalog{PARTIAL}"
    aside.unlink(missing_ok=True)
    if spec.catalog_kind == "postgres":
        words = ["--format=custom", "--no-owner", f"--file={aside}"]
        _run("pg_dump", *words, f"--dbname={spec.catalog_location}")
    else:
        location = quote(str(Path(spec.catalog_location).absolute()))
        with (
            closing(sqlite3.connect(f"file:{location}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(aside)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # a file of its own, with no log beside it
    sync(aside)
    ending = ENDINGS[spec.catalog_kind]
    return aside.rename(folder / f"catalog-{file_sha256(aside)[:12]}{ending}")


def put_back_catalog(copy: Path, spec: LakeSpec) -> str:
    """Make `copy` the catalog of `spec`, which points to its storage then; returns its id.

    A SQLite file is put in place whole. On a server a catalog that is there already must be this
    copy's, of a restore that was interrupted.
    """
    if spec.catalog_kind == "postgres":
        if not has_catalog(spec):
            words = ["--exit-on-error", "--single-transaction", "--no-owner"]
            _run("pg_restore", *words, f"--dbname={spec.catalog_location}", str(copy))
        return _point_to_storage(spec, spec)
    target = Path(spec.catalog_location)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}{PARTIAL}")
    # What a lost catalog left beside itself would be read as changes to this one.
    for ending in ("-wal", "-shm"):
        for path in (target, aside):
            path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)
    shutil.copyfile(copy, aside)
    warehouse_id = _point_to_storage(spec.model_copy(update={"catalog": f"sqlite:{aside}"}), spec)
    sync(aside)
    aside.replace(target)
    sync(target.parent)
    return warehouse_id


def _point_to_storage(catalog: LakeSpec, spec: LakeSpec) -> str:
    storage = spec.storage.rstrip("/") + "/"
    with catalog_beside(catalog) as beside:
        beside.execute(filled(sql.statement("catalog_moved").text, {"storage": storage}))
        (found,) = beside.execute(sql.statement("catalog_restored_identity").text).fetchall()
    return str(found[0])


def is_taken(spec: LakeSpec) -> bool:
    """Whether a catalog is there, or in a SQLite file anything else that would be overwritten."""
    if has_catalog(spec):
        return True
    path = Path(spec.catalog_location)
    if spec.catalog_kind != "sqlite" or not path.is_file() or not path.stat().st_size:
        return False
    with catalog_beside(spec, read_only=True) as beside:
        return beside.execute(sql.statement("catalog_in_use").text).fetchone() == (True,)


def _run(program: str, *words: str) -> None:
    """Run a client program of PostgreSQL. Passwords reach it through its environment (PGPASSWORD).

    Raises CatalogCopyError when it is not installed or fails.
    """
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
