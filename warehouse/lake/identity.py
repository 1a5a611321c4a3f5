"""Identity: the storage and the landing zone say which catalog they belong to.

DuckLake makes a catalog that is not there, and deletes files that its catalog does not name: with
the catalog lost, an empty one over the old files would have them all deleted. So each place holds a
small file with the id of its catalog, and neither is read nor written under another one or none.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.lake import sql
from warehouse.lake.connection import attach, catalog_beside, connect, quoted
from warehouse.lake.spec import LakeError, LakeSpec, is_bucket

MARK = "warehouse-id"
"""The file in storage and landing zone. Its ending is no data file's, so upkeep leaves it alone."""

RESTORING = "restore unfinished"
"""What it begins with while a backup is being restored."""

PLACES = {"storage": ".parquet", "landing": ".gz"}
"""The places of a warehouse by their names in its spec, and how what is kept there ends."""

_MARK = re.compile(rf"[0-9a-f-]{{36}}|{RESTORING}.*")
_RESTORE = (
    "Put a backup back with `newsvane restore FOLDER`, or correct [warehouse] in newsvane.toml"
)


class IdentityError(LakeError):
    """Catalog, storage and landing zone are not those of one warehouse; nothing was changed."""


def open_own(
    spec: LakeSpec, snapshot: int | None = None, *, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    """Attach the warehouse if its places are its own; make a new one if they are empty.

    Raises IdentityError for places without their catalog or of another one, and LakeError when
    there is nothing to read or something cannot be reached.
    """
    if has_catalog(spec):
        try:
            connection = attach(spec, snapshot, read_only=read_only, create=False)
        except LakeError as error:
            _refuse_unfinished(spec)
            if not is_bucket(spec.storage) and not Path(spec.storage).is_dir():
                raise IdentityError(
                    f"There is no storage at {spec.storage}, but the catalog at "
                    f"{spec.catalog_kind}:{spec.catalog_location} names files in it. {_RESTORE}."
                ) from error
            raise
    else:
        _refuse_to_begin_over_files(spec)
        if read_only:
            raise LakeError(
                f"There is no warehouse at {spec.catalog_location}; expected the catalog of one. "
                "Correct the data root, or fill one with `newsvane run`."
            )
        connection = attach(spec, snapshot)
    try:
        for place in PLACES:
            _check_place(connection, spec, place)
    except BaseException:
        connection.close()
        raise
    return connection


def mark_places(connection: duckdb.DuckDBPyConnection, spec: LakeSpec) -> None:
    """Write the marks that are not there yet: the warehouse is new, or older than the marks.

    Call it under the writer's lock, on a connection that `open_own` gave.
    """
    for place in PLACES:
        location = getattr(spec, place)
        if _mark(connection, location) is None:
            if not is_bucket(location):
                Path(location).mkdir(parents=True, exist_ok=True)
            target = quoted(f"{location}/{MARK}")
            connection.execute(
                f"COPY (SELECT '{warehouse_id(connection)}') TO '{target}'"
                " (FORMAT csv, HEADER false, USE_TMP_FILE true)"
            )


def warehouse_id(connection: duckdb.DuckDBPyConnection) -> str:
    """The id of the catalog that is attached as `lake`: DuckLake gave it one when it was made."""
    found = sql.SqlReader(connection).read("catalog_identity")["warehouse_id"]
    return str(found[0].as_py())


def has_catalog(spec: LakeSpec) -> bool:
    """Whether a DuckLake's catalog is where `spec` says; an empty file or database is none."""
    if spec.catalog_kind == "sqlite":
        path = Path(spec.catalog_location)
        if not path.is_file() or not path.stat().st_size:
            return False
    with catalog_beside(spec, read_only=True) as beside:
        return beside.execute(sql.statement("catalog_taken").text).fetchone() == (True,)


def mark_in(text: str) -> str | None:
    """The mark that a text is; None for what is none, such as one that was cut off or damaged."""
    return text.strip() if _MARK.fullmatch(text.strip()) else None


def is_restoring(mark: str | None) -> bool:
    """Whether a mark says that a restore has begun and has not ended."""
    return mark is not None and mark.startswith(RESTORING)


def _refuse_unfinished(spec: LakeSpec) -> None:
    with connect(spec) as connection:
        for place in PLACES:
            if is_restoring(_mark(connection, getattr(spec, place))):
                raise _unfinished(getattr(spec, place))


def _refuse_to_begin_over_files(spec: LakeSpec) -> None:
    with connect(spec) as connection:
        for place, ending in PLACES.items():
            location = getattr(spec, place)
            mark, kept = _mark(connection, location), _names(connection, location, ending)
            if is_restoring(mark):
                raise _unfinished(location)
            if mark is not None or kept:
                raise IdentityError(
                    f"There is no catalog at {spec.catalog_kind}:{spec.catalog_location}, but the "
                    f"{place} {location} holds {len(kept)} files of a warehouse; expected its "
                    f"catalog. {_RESTORE}; to begin anew, move these files away."
                )


def _check_place(connection: duckdb.DuckDBPyConnection, spec: LakeSpec, place: str) -> None:
    location, own = getattr(spec, place), warehouse_id(connection)
    mark = _mark(connection, location)
    if is_restoring(mark):
        raise _unfinished(location)
    if mark is None:
        _check_unmarked(connection, spec, place)
    elif mark != own:
        raise IdentityError(
            f"The {place} {location} belongs to the warehouse {mark}, but the catalog at "
            f"{spec.catalog_kind}:{spec.catalog_location} is that of {own}. {_RESTORE}."
        )


def _check_unmarked(connection: duckdb.DuckDBPyConnection, spec: LakeSpec, place: str) -> None:
    """Tell by what is kept there whether a place from before there were marks is this catalog's.

    A landing zone may hold nothing but payloads of interrupted batches, which no catalog knows.
    """
    location = getattr(spec, place)
    kept = _names(connection, location, PLACES[place])
    sql.define_views(connection)
    reader = sql.SqlReader(connection)
    if place == "landing":
        what, foreign = "payloads", bool(kept) and _payloads_are_foreign(reader, kept)
    else:
        what, named = "data files", set(reader.read("files_named")["name"].to_pylist())
        replaced = set(reader.read("files_replaced")["name"].to_pylist())
        foreign = bool(kept) and kept.isdisjoint(named | replaced)
        if named and not kept:
            raise IdentityError(
                f"The storage {location} holds none of the {len(named)} data files that the "
                f"catalog names. {_RESTORE}."
            )
    if foreign:
        raise IdentityError(
            f"The catalog at {spec.catalog_kind}:{spec.catalog_location} knows none of the "
            f"{len(kept)} {what} in the {place} {location}; expected the catalog that they "
            f"belong to. {_RESTORE}; if they belong to none, move them away."
        )


def _payloads_are_foreign(reader: sql.SqlReader, kept: set[str]) -> bool:
    ids = [Path(name).name.removesuffix(PLACES["landing"]) for name in sorted(kept)]
    landed = pa.table({"payload_id": pa.array(ids, pa.string())})
    # A warehouse that is to be migrated may not have the table yet.
    with suppress(duckdb.CatalogException):
        (found,) = reader.read("payloads_known", landed=landed).to_pylist()
        return bool(found["payloads"] and not found["known"])
    return False


def _unfinished(location: str) -> IdentityError:
    return IdentityError(
        f"A restore to {location} was interrupted. Run `newsvane restore FOLDER` again: it goes on "
        "where it was; until then nothing is read or written here."
    )


def _mark(connection: duckdb.DuckDBPyConnection, location: str) -> str | None:
    """What the mark says; None when there is none, or nothing in it."""
    if is_bucket(location):
        # As a pattern, because a name alone is not looked for.
        pattern = quoted(f"{location}/{MARK[:-1]}[{MARK[-1]}]")
        found = connection.execute(f"FROM glob('{pattern}')").fetchall()
        texts = [connection.execute(f"SELECT content FROM read_text('{quoted(file)}')").fetchone()
                 for (file,) in found]  # fmt: skip
        text = texts[0][0] if texts and texts[0] else ""
    else:
        path = Path(location) / MARK
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return mark_in(text)


def _names(connection: duckdb.DuckDBPyConnection, location: str, ending: str) -> set[str]:
    """The names below `location` of what ends so."""
    if is_bucket(location):
        root = location.rstrip("/") + "/"
        found = connection.execute(f"FROM glob('{quoted(root)}**/*{ending}')").fetchall()
        return {file.removeprefix(root) for (file,) in found}
    root_folder = Path(location)
    return {path.relative_to(root_folder).as_posix() for path in root_folder.rglob(f"*{ending}")}
