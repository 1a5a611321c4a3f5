"""What a backup names: files of its own, and a catalog whose files lie in its lake."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath

from warehouse.storage.unpacking import colliding_names, fault_of_name

_PATHS = {
    name: f"SELECT path, path_is_relative FROM {name}"
    for name in (
        "ducklake_schema",
        "ducklake_table",
        "ducklake_data_file",
        "ducklake_delete_file",
        "ducklake_files_scheduled_for_deletion",
    )
}


def foreign_name(
    folder: Path, names: Sequence[str], catalog: str, trees: Sequence[str]
) -> str | None:
    """The first name that is no file of the backup in `folder`, and why; None when all are.

    `catalog` is the name of the catalog's copy, `trees` the folders that all else is below.
    """
    if clash := colliding_names(names):
        return f"{clash[0]!r} and {clash[1]!r}, which may be one file elsewhere"
    for name in names:
        if reason := fault_of_name(name):
            return f"{name!r}, which {reason}"
        if name != catalog and not name.startswith(tuple(f"{tree}/" for tree in trees)):
            return f"{name!r}, which is neither its catalog nor below {' or '.join(trees)}"
        parents = [str(parent) for parent in PurePosixPath(name).parents][:-1]
        if any((folder / part).is_symlink() for part in (name, *parents)):
            return f"{name!r}, which is or lies behind a link"
        if (folder / name).exists() and not (folder / name).is_file():
            return f"{name!r}, which is no ordinary file"
    if catalog in names and Path(catalog).suffix == ".sqlite":
        return _path_outside(folder / catalog)
    return None


def _path_outside(catalog: Path) -> str | None:
    """A data file beyond the lake that a restored catalog would have read, or deleted by upkeep."""
    if not catalog.is_file():
        return None  # which is said where its hash is compared
    where = f"{catalog.resolve().as_uri()}?immutable=1"
    try:
        with closing(sqlite3.connect(where, uri=True)) as copy:
            for statement in _PATHS.values():
                for path, inside in copy.execute(statement):
                    if not inside or fault_of_name(str(path).removesuffix("/")):
                        return f"{path!r} in its catalog, which is outside of the lake"
    except sqlite3.Error:
        return None  # likewise
    return None
