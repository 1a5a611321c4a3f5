"""The tables of the warehouse, and how an older warehouse gets to them.

`sql/schema/` says what the tables are today; a new warehouse is made from it alone. A file
`sql/migrations/NNNN_words.sql` says how to get there from version NNNN - 1; what its last statement
selects as `words` is logged as a warning. Released migrations are never edited: a new change is a
new file, and the schema file changes with it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse.lake.comments import declared_comments, differing, set_comments, stored_comments
from warehouse.lake.faults import first_line
from warehouse.lake.spec import LakeError
from warehouse.lake.sql import SQL_ROOT

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)")
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from version - 1 to version."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Of the file's text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def known_migrations(folder: Path = SQL_ROOT / "migrations") -> tuple[Migration, ...]:
    """All migrations of this release in order. Raises LakeError unless they count from 0001."""
    found = []
    for expected, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _NAME.fullmatch(path.stem)
        if match is None or int(match[1]) != expected:
            raise LakeError(
                f"Migration {path.name} is out of order; expected {expected:04}_words.sql. "
                "Number migrations from 0001 without gaps."
            )
        found.append(Migration(expected, match[2], path.read_text(encoding="utf-8")))
    return tuple(found)


def bring_up_to_date(
    connection: duckdb.DuckDBPyConnection,
    migrations: tuple[Migration, ...] | None = None,
    schema: Path = SQL_ROOT / "schema",
) -> tuple[int, ...]:
    """Create absent tables, apply pending migrations, set comments, all in one transaction.

    Comments are set where they differ from the schema's, so that an up-to-date warehouse is not
    written to. Call it under the writer's lock. Returns the versions applied to data that was
    there. Raises LakeError if this release is older than the warehouse, or if a migration it has
    been through reads differently now; nothing is changed then.
    """
    migrations = known_migrations() if migrations is None else migrations
    stored, declared = stored_comments(connection), declared_comments(schema)
    present = {name for name in stored if "." not in name}
    applied = _applied(connection) if "schema_versions" in present else {}
    _refuse_unknown(applied, migrations)
    absent = [path for path in sorted(schema.glob("*.sql")) if path.stem not in present]
    pending = [step for step in migrations if step.version not in applied]
    if not (absent or pending or differing(stored, declared)):
        return ()
    connection.execute("BEGIN TRANSACTION")
    try:
        for path in absent:
            connection.execute(path.read_text(encoding="utf-8"))
        for step in pending if present else ():
            _run(connection, step)
        _record(connection, pending)
        if present:
            set_comments(connection, differing(stored_comments(connection), declared))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return tuple(step.version for step in pending) if present else ()


def require_current(connection: duckdb.DuckDBPyConnection) -> None:
    """Raise LakeError unless the tables are those of this release; for readers, who change none."""
    present = {row[0] for row in connection.execute(_TABLES).fetchall()}
    applied = _applied(connection) if "schema_versions" in present else {}
    _refuse_unknown(applied, known_migrations())
    absent = {path.stem for path in (SQL_ROOT / "schema").glob("*.sql")} - present
    if absent or len(applied) < len(known_migrations()):
        lacks = f" and has the tables {', '.join(sorted(absent))} too" if absent and present else ""
        raise LakeError(
            f"The warehouse is at schema version {max(applied, default=0)}, this release reads "
            f"version {len(known_migrations())}{lacks}. Open it once with a command that may "
            'write, e.g. `newsvane sql "from schema_versions"`, which brings it up to date.'
        )


def _applied(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    rows = connection.execute("SELECT version, sha256 FROM schema_versions").fetchall()
    return dict(rows)


def _refuse_unknown(applied: dict[int, str], migrations: tuple[Migration, ...]) -> None:
    known = {step.version: step for step in migrations}
    newest = max(applied, default=0)
    if newest > len(known):
        raise LakeError(
            f"The warehouse is at schema version {newest}, but this release knows versions up to "
            f"{len(known)}. Nothing was changed; open it with a release at least as new as the "
            "one that wrote it."
        )
    for version, sha256 in sorted(applied.items()):
        if known[version].sha256 != sha256:
            raise LakeError(
                f"Migration {version:04}_{known[version].name} is not the one this warehouse went "
                f"through ({known[version].sha256[:12]}, expected {sha256[:12]}). Restore the "
                "released file and put the change into a migration of its own."
            )


def _run(connection: duckdb.DuckDBPyConnection, step: Migration) -> None:
    try:
        answer = connection.execute(step.text)
        if answer.description and answer.description[0][0] == "words":
            for (words,) in answer.fetchall():
                _LOG.warning("Migration %04d: %s", step.version, words)
    except duckdb.Error as error:
        raise LakeError(
            f"Migration {step.version:04}_{step.name} failed: {first_line(error)}. The warehouse "
            "is as it was; correct the cause or restore a backup, then open it again."
        ) from error


def _record(connection: duckdb.DuckDBPyConnection, steps: list[Migration]) -> None:
    if not steps:
        return
    rows = pa.Table.from_pylist(
        [{"version": step.version, "name": step.name, "sha256": step.sha256} for step in steps]
    )
    connection.register("applied_migrations", rows)
    connection.execute(
        "INSERT INTO schema_versions BY NAME"
        " SELECT version::INTEGER AS version, name, sha256 FROM applied_migrations"
    )
    connection.unregister("applied_migrations")
