"""Exact copies of the catalog: SQLite's own backup, or PostgreSQL's dump and restore programs."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import duckdb

from warehouse.lake import sql
from warehouse.lake.connection import load_extension, quoted
from warehouse.lake.spec import LakeError, LakeSpec


class CatalogCopyError(LakeError):
    """The catalog could not be copied or put back; nothing was changed where it came from."""


def copy_name(kind: str) -> str:
    """The file name of a catalog's copy: copies of one kind cannot be restored into the other."""
    return {"sqlite": "catalog.sqlite", "postgres": "catalog.pgdump"}[kind]


def copy_catalog(spec: LakeSpec, folder: Path) -> Path:
    """Write a consistent copy of the catalog into `folder`, whoever else is at work on it."""
    target = folder / copy_name(spec.catalog_kind)
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


def put_back_catalog(copy: Path, spec: LakeSpec) -> None:
    """Make `copy` the catalog of `spec`, whose storage it then points to.

    Raises CatalogCopyError when something is already there.
    """
    require_no_catalog(spec)
    if spec.catalog_kind == "postgres":
        words = ["--exit-on-error", "--single-transaction", "--no-owner"]
        _run("pg_restore", *words, f"--dbname={spec.catalog_location}", str(copy))
    else:
        Path(spec.catalog_location).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(copy, spec.catalog_location)
    with closing(_attached(spec)) as connection:
        storage = spec.storage.rstrip("/") + "/"
        connection.execute(sql.statement("catalog_moved").text, {"storage": storage})


def require_no_catalog(spec: LakeSpec) -> None:
    """Raises CatalogCopyError when `spec` names a catalog that is in use: it is not overwritten."""
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
        said = done.stderr.strip().splitlines()[0] if done.stderr.strip() else "nothing"
        raise CatalogCopyError(f"{program} failed: {said}. Nothing else was done.")
