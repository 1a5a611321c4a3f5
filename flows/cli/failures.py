"""Failures of what surrounds a command (disk, server, catalog, network), each as a sentence."""

from __future__ import annotations

import errno
import os
import re
import sys

OUR_PACKAGES = frozenset({"flows", "tasks", "warehouse", "validation", "sandbox", "newsvane"})

CONNECTIONS = frozenset({"httpx", "httpcore", "curl_cffi", "botocore", "asyncpg", "websockets"})
"""Packages whose errors say that somebody else did not answer."""
DATABASES = frozenset({"sqlite3", "sqlalchemy", "aiosqlite"})
"""Packages whose errors are of the file in which Prefect keeps its runs."""

_NO_SERVER = re.compile(
    r"Failed to reach API at (?P<address>\S+)|ephemeral Prefect API server|"
    r"Prefect API .*(?:not|un)reachable|server .*(?:did not|failed to) start",
    re.IGNORECASE,
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def sentence_of(error: BaseException) -> str | None:
    """What to tell of an error; None for one that is a mistake of the program."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    package = type(error).__module__.partition(".")[0]
    if package in OUR_PACKAGES:
        return str(error)
    if isinstance(error, OSError) and package not in CONNECTIONS:
        return _of_system(error)
    said = " ".join(str(error).split())[:400] or type(error).__name__
    if found := _NO_SERVER.search(said):
        return _of_server(found["address"], said)
    if package == "prefect" and "HTTP" in type(error).__name__:
        return _of_server(None, said)
    if package in CONNECTIONS:
        return (
            f"A connection failed: {said}. Expected the service it leads to to answer; check the "
            "address, the network and that the service is up, then run the command again."
        )
    if package in DATABASES:
        return (
            f"The record of runs could not be read or written: {said}. Expected a database below "
            "DATA_ROOT/prefect that no other program holds and a disk with room; check both, then "
            "run the command again."
        )
    return _of_warehouse(error, said)


def _of_system(error: OSError) -> str:
    said = error.strerror or " ".join(str(error).split()) or type(error).__name__
    where = f" at {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
    if error.errno in _FULL:
        advice = "Make room on that disk, or raise the limit on the size of files"
    elif error.errno in _FORBIDDEN:
        user = f"user {os.getuid()}" if hasattr(os, "getuid") else "this user"
        advice = (
            f"Expected a place that {user} may write; give it away, or choose another data root"
        )
    elif isinstance(error, ConnectionError | TimeoutError):
        advice = "Expected a service to answer there; check that it is up"
    else:
        advice = "Check that path and the disk it is on"
    return f"The system refused{where}: {said}. {advice}, then run the command again."


def _of_server(address: str | None, said: str) -> str:
    named = address or os.environ.get("PREFECT_API_URL")
    if named is None:
        return (
            f"Prefect's server for this command did not start: {said} Look for the reason in "
            "DATA_ROOT/prefect/command-server.log (a disk without room, a folder that cannot be "
            "written), then run the command again."
        )
    return (
        f"Prefect's server at {named} cannot be used: {said} Expected the API of a running server, "
        "such as http://127.0.0.1:4200/api; correct or unset PREFECT_API_URL, or start the server "
        "(`newsvane ui`), then run the command again."
    )


def _of_warehouse(error: BaseException, said: str) -> str | None:
    """Of the database's own errors, those that its disk, server or bucket is to blame for."""
    if "duckdb" not in sys.modules:
        return None
    from warehouse.lake.faults import is_of_surroundings

    if not is_of_surroundings(error):
        return None
    return (
        f"The warehouse could not be read or written: {said}. Check that its disk has room, that "
        "no other program holds it and that its server or bucket is up, then run the command again."
    )
