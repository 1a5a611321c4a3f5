"""Kind: a warehouse holds what a sandbox made up, or what the world outside said, never both.

The kind is kept beside the hashes in the catalog's own database (see hashes.py), so it goes into
backups and back. Whoever commits first decides; a warehouse from before there were kinds takes that
of its next writer.
"""

from __future__ import annotations

import duckdb

from warehouse.lake import sql
from warehouse.lake.spec import LakeError, LakeSpec

_WORDS = {"sandbox": "data of the sandbox", "live": "data of the world outside the sandbox"}


class KindError(LakeError):
    """The warehouse is of the other kind than the profile; nothing was written."""


def require_kind(connection: duckdb.DuckDBPyConnection, spec: LakeSpec) -> None:
    """Raises KindError when the warehouse is known to be of another kind than `spec` asks for.

    Makes the table of the kind if the catalog lacks it; under the writer's lock.
    """
    connection.execute(sql.statement("kind_table").text)
    kept = _kept(connection)
    if spec.kind is not None and kept is not None and kept != spec.kind:
        raise KindError(
            f"The warehouse at {spec.catalog_kind}:{spec.catalog_location} holds {_WORDS[kept]}, "
            f"but the chosen profile would write {_WORDS[spec.kind]}; expected a profile of its "
            "own kind. Choose one with --profile or NEWSVANE_PROFILE, or give this profile a "
            "[warehouse] or data_root of its own; nothing was written."
        )


def record_kind(connection: duckdb.DuckDBPyConnection, spec: LakeSpec) -> None:
    """Note the kind of `spec` for good if none is known; under the writer's lock, before a commit.

    Raises KindError when somebody of the other kind has written meanwhile.
    """
    if spec.kind is not None and _kept(connection) is None:
        sql.run(connection, sql.statement("kind_record").text, {"kind": spec.kind}, {})
    require_kind(connection, spec)


def _kept(connection: duckdb.DuckDBPyConnection) -> str | None:
    found = sql.SqlReader(connection).read("kind_kept")["kind"].to_pylist()
    return str(found[0]) if found else None
