"""Credentials of our Prefect servers: made once for a data root, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

SERVER_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
"""USER:PASSWORD that the server asks for. Clients started beside it are given the same."""
CLIENT_AUTH = "PREFECT_API_AUTH_STRING"
_USER = "newsvane"
_OWNER_ONLY = stat.S_IRUSR | stat.S_IWUSR


class CredentialsError(RuntimeError):
    """The file of credentials cannot be used; the message says why and what to do."""


def credentials_path(data_root: Path) -> Path:
    """Where the credentials of DATA_ROOT's servers are kept: one line, USER:PASSWORD."""
    return (data_root / "prefect").resolve() / "credentials"


def stored_credentials(data_root: Path) -> str:
    """USER:PASSWORD of DATA_ROOT's servers; the first call makes them. Raises CredentialsError."""
    path = credentials_path(data_root)
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        _make(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from error
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        if os.fstat(descriptor).st_mode & 0o077:
            try:
                os.fchmod(descriptor, _OWNER_ONLY)  # as after a copy from a disk without modes
            except OSError as error:
                raise _unusable(path, "others may read it, and it is not yours to close") from error
        line = file.read().strip()
    user, separator, password = line.partition(":")
    if not (user and separator and password) or not line.isprintable():
        raise _unusable(path, "it holds no line USER:PASSWORD")
    return line


def login_words(data_root: Path, *, show: bool) -> str:
    """How a person logs in to the UI; the password itself only with `show`, for a terminal."""
    stored = stored_credentials(data_root)
    if os.environ.get(SERVER_AUTH, stored) != stored:
        return f"Log in with the value of {SERVER_AUTH}."
    where = credentials_path(data_root)
    return (
        f"Log in with {stored}  (kept in {where})" if show else f"Log in with the line in {where}"
    )


def _make(path: Path) -> None:
    # Linked to its name when it is whole: of two commands at once, both read what one of them made.
    unfinished = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(unfinished, flags, _OWNER_ONLY), "w", encoding="utf-8") as file:
        file.write(f"{_USER}:{secrets.token_urlsafe(24)}\n")
    try:
        os.link(unfinished, path)
    except FileExistsError:
        raise
    except OSError:
        # Some shared and foreign disks know no links.
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _unusable(path: Path, reason: str) -> CredentialsError:
    return CredentialsError(
        f"The credentials of the Prefect server in {path} cannot be used: {reason}; expected one "
        "line USER:PASSWORD in a file of yours. Delete it, and the next command makes new ones."
    )
