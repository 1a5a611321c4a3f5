"""Connections to the warehouse: extensions, catalog, keys, and the lock of the one writer."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
from filelock import FileLock

from warehouse.lake.faults import advice, first_line
from warehouse.lake.home import provide_home
from warehouse.lake.spec import LakeError, LakeSpec, is_bucket


def attach(
    spec: LakeSpec, snapshot: int | None = None, *, read_only: bool = False, create: bool = True
) -> duckdb.DuckDBPyConnection:
    """A connection of its own on which the warehouse is `lake`, in UTC.

    Whose files are in the storage is not looked at: see identity.py. Raises LakeError when the
    catalog or the storage cannot be reached, or there is no catalog and none to `create`.
    """
    kind, location = spec.catalog_kind, spec.catalog_location
    if kind == "sqlite" and create and not read_only:
        Path(location).parent.mkdir(parents=True, exist_ok=True)
    connection = connect(spec)
    try:
        connection.execute(_attaching(spec, "lake", snapshot, read_only=read_only, create=create))
        connection.execute("USE lake")
    except duckdb.Error as error:
        connection.close()
        if words := advice(error, spec):
            raise LakeError(words) from error
        raise LakeError(
            f"The warehouse at {kind}:{location} could not be opened: {first_line(error)}. "
            "Check that the path or server exists and may be written to; a damaged catalog comes "
            "back with `newsvane restore FOLDER` once it is moved away."
        ) from error
    return connection


def connect(spec: LakeSpec) -> duckdb.DuckDBPyConnection:
    """A connection of its own, in UTC, that can reach catalog, storage and landing zone.

    Raises LakeError when it cannot be made.
    """
    provide_home(spec.root)
    connection = _unsigned(
        threads=spec.threads,
        memory_limit=spec.memory_limit,
        temp_directory=str(spec.lock.parent / "spill"),
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        buckets = {place for place in (spec.storage, spec.landing) if is_bucket(place)}
        needed = ("ducklake", f"{spec.catalog_kind}_scanner", *(["httpfs"] if buckets else []))
        _load_checked(connection, needed)
        if buckets:
            _open_buckets(connection, spec, sorted(buckets))
    except duckdb.Error as error:
        connection.close()
        raise LakeError(f"DuckDB could not be made ready: {first_line(error)}.") from error
    return connection


@contextmanager
def catalog_beside(
    spec: LakeSpec, *, read_only: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection on which the catalog's database is `catalog`, as plain tables.

    Raises LakeError when the database cannot be reached, or is none.
    """
    location = quoted(spec.catalog_location)
    options = f"TYPE {spec.catalog_kind}{', READ_ONLY' if read_only else ''}"
    provide_home(spec.root)
    with _unsigned(threads=1) as connection:
        try:
            _load_checked(connection, (f"{spec.catalog_kind}_scanner",))
            connection.execute(f"ATTACH '{location}' AS catalog ({options})")
            yield connection
        except duckdb.Error as error:
            if words := advice(error, spec):
                raise LakeError(words) from error
            raise LakeError(
                f"The catalog {spec.catalog_kind}:{spec.catalog_location} could not be opened: "
                f"{first_line(error)}. Check that the path or server exists; a damaged catalog "
                "comes back with `newsvane restore FOLDER` once it is moved away."
            ) from error


@contextmanager
def scanning(extension: str | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection without a warehouse, in UTC, with one extension loaded or none."""
    with _unsigned(threads=1) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _load_checked(connection, (extension,) if extension else ())
        yield connection


@contextmanager
def attached_at(
    connection: duckdb.DuckDBPyConnection, spec: LakeSpec, snapshot: int
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection beside `connection`, in UTC, that sees the warehouse as it was at a snapshot.

    Both share memory and threads, but neither temporary tables nor a transaction.
    """
    beside = connection.cursor()
    try:
        beside.execute("SET TimeZone = 'UTC'")
        beside.execute(_attaching(spec, "past", snapshot, read_only=True))
        beside.execute("USE past")
        yield beside
    finally:
        with suppress(duckdb.Error):
            beside.execute("USE memory; DETACH past")
        beside.close()


def _attaching(
    spec: LakeSpec, name: str, snapshot: int | None, *, read_only: bool, create: bool = False
) -> str:
    kind, location = spec.catalog_kind, spec.catalog_location
    options = [f"DATA_PATH '{quoted(spec.storage)}'", f"CREATE_IF_NOT_EXISTS {create}"]
    if read_only:
        options.append("READ_ONLY")
    elif kind == "sqlite":
        options.append("META_JOURNAL_MODE 'WAL'")
    if not is_bucket(spec.storage) and (read_only or Path(spec.storage).is_dir()):
        # The catalog keeps the folder as its first writer spelled it, perhaps relative to where
        # that one ran; others find it from elsewhere, or a copy. A writer is not led to a folder
        # that is not there: DuckLake tells it of the other one.
        options.append("OVERRIDE_DATA_PATH true")
    if snapshot is not None:
        options.append(f"SNAPSHOT_VERSION {int(snapshot)}")
    return f"ATTACH 'ducklake:{kind}:{quoted(location)}' AS {name} ({', '.join(options)})"


def _unsigned(**config: str | int) -> duckdb.DuckDBPyConnection:
    """A connection that loads extensions whoever signed them: for `_load_checked` alone."""
    return duckdb.connect(config={**config, "allow_unsigned_extensions": "true"})


def _load_checked(connection: duckdb.DuckDBPyConnection, extensions: tuple[str, ...]) -> None:
    for extension in extensions:
        connection.execute(f"LOAD '{quoted(str(_as_released(extension)))}'")
    connection.execute("SET allow_unsigned_extensions = false")


@functools.cache
def _as_released(extension: str) -> Path:
    """The extension's file in its wheel, once its bytes are those that the wheel lists.

    DuckDB would check its signature by hashing some 50 MB, at a fifth of the speed. Raises
    LakeError for a file that is missing or altered.
    """
    wheel = f"duckdb-extension-{extension.replace('_', '-')}"
    for file in metadata.distribution(wheel).files or ():
        if file.name != f"{extension}.duckdb_extension" or file.hash is None:
            continue
        path = Path(str(file.locate()))
        with suppress(OSError), path.open("rb") as stream:
            made = hashlib.file_digest(stream, file.hash.mode).digest()
            if base64.urlsafe_b64encode(made).decode().rstrip("=") == file.hash.value:
                return path
    raise LakeError(
        f"DuckDB's extension {extension} is not as its wheel {wheel} lists it; expected the file "
        "unaltered. Install the wheel anew: pip install --force-reinstall --no-deps "
        f"{wheel}=={metadata.version(wheel)}"
    )


def quoted(text: str) -> str:
    """The text as the inside of an SQL string literal."""
    return text.replace("'", "''")


def _open_buckets(
    connection: duckdb.DuckDBPyConnection, spec: LakeSpec, buckets: list[str]
) -> None:
    """Keep the environment's keys as secrets of the connection.

    httpfs reads the AWS_… variables into plain settings, which any query could show; a secret
    shows itself redacted, so the settings are cleared once it is made.
    """
    options = ["TYPE s3"]
    for option, setting in _KEYS.items():
        (value,) = connection.execute(f"SELECT current_setting('{setting}')").fetchone() or (None,)
        if value:
            options.append(f"{option} '{quoted(str(value))}'")
            connection.execute(f"RESET {setting}")
    if spec.endpoint is not None:
        address = urlsplit(spec.endpoint)
        options += [
            f"ENDPOINT '{quoted(address.netloc)}'",
            f"USE_SSL {str(address.scheme == 'https').lower()}",
            # Stores of one's own rarely answer to bucket names as host names.
            "URL_STYLE 'path'",
        ]
    for number, bucket in enumerate(buckets):
        scoped = [*options, f"SCOPE '{quoted(bucket)}'"]
        connection.execute(f"CREATE SECRET bucket_{number} ({', '.join(scoped)})")


_KEYS = {
    "KEY_ID": "s3_access_key_id",
    "SECRET": "s3_secret_access_key",
    "SESSION_TOKEN": "s3_session_token",
    "REGION": "s3_region",
}


# Any number will do, as long as every writer of a catalog uses the same one.
_ADVISORY_LOCK = 0x6E657773


class WriterLock:
    """Held by whoever writes to the warehouse of `spec`. Not for use by several threads.

    In one folder it is a file, on a PostgreSQL catalog an advisory lock too. DuckLake detects two
    commits that change the same rows, but not two that each insert the row the other one did not
    see yet. Both would keep it, so whoever merges must be alone.
    """

    def __init__(self, spec: LakeSpec) -> None:
        spec.lock.parent.mkdir(parents=True, exist_ok=True)
        self._file = FileLock(spec.lock)
        self._server = spec.catalog_location if spec.catalog_kind == "postgres" else None
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> WriterLock:
        # The file comes first, so that one machine sends one candidate to the server.
        self._file.acquire()
        try:
            self._lock_server()
        except BaseException:
            self._file.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._connection is not None:
                self._connection.execute("COMMIT")
        except duckdb.Error:
            # The server has gone, and the lock with it.
            self.close()
        finally:
            self._file.release()

    def close(self) -> None:
        """Drop the connection to the server; safe to call twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _lock_server(self) -> None:
        if self._server is None:
            return
        try:
            if self._connection is None:
                self._connection = _connected(self._server)
            self._connection.execute("BEGIN TRANSACTION")
            self._connection.execute(
                "FROM postgres_query('writers', 'SELECT 1 AS held"
                f" FROM pg_advisory_xact_lock({_ADVISORY_LOCK})')"
            ).fetchall()
        except duckdb.Error as error:
            self.close()
            raise LakeError(
                f"The catalog server did not grant the writer's lock: {first_line(error)}."
                " Nothing was written; check that PostgreSQL is up and reachable, then retry."
            ) from error


def _connected(server: str) -> duckdb.DuckDBPyConnection:
    connection = _unsigned(threads=1)
    try:
        _load_checked(connection, ("postgres_scanner",))
        connection.execute(f"ATTACH '{quoted(server)}' AS writers (TYPE postgres)")
    except duckdb.Error:
        connection.close()
        raise
    return connection
