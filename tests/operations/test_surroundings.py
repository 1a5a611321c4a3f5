"""What surrounds a command fails: it works all the same, or says in one sentence what is wrong."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
from pathlib import Path

import duckdb
import httpx
import pytest

from flows.cli.failures import sentence_of
from tests.builders.command_line import REPOSITORY, Newsvane, command_of, run_to_its_end
from warehouse.lake.home import provide_home


def test_command_works_without_a_home_or_a_locale(tmp_path: Path) -> None:
    """As a system service runs it, in a folder with blanks and umlauts."""
    root = tmp_path / "dä ta"
    query = "select 'ü' as word"
    environment = {
        "HOME": str(tmp_path / "nowhere"),
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "TZ": "Nowhere/Odd",
        "NEWSVANE_DATA_ROOT": str(root),
    }
    done = run_to_its_end(command_of("sql", query), REPOSITORY, environment)
    assert done.returncode == 0, done.stderr
    assert "ü" in done.stdout
    assert (root / "home").is_dir()
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("home", [None, "", "missing", "a file"])
def test_home_that_cannot_be_used_is_replaced_by_one_below_the_data_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str | None
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home and str(tmp_path / home))
    provide_home(tmp_path / "data")
    assert Path.home() == tmp_path / "data" / "home"
    assert Path.home().is_dir()
    monkeypatch.setenv("HOME", str(tmp_path))
    provide_home(tmp_path / "data")
    assert Path.home() == tmp_path


def test_data_root_or_lock_that_cannot_be_used_is_a_sentence(
    newsvane: Newsvane, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    blocked = newsvane("sql", "select 1", NEWSVANE_DATA_ROOT=str(tmp_path / "file"))
    (tmp_path / "data" / "writer.lock").mkdir(parents=True)
    locked = newsvane("sql", "select 1")
    for answer, path in ((blocked, "file"), (locked, "writer.lock")):
        assert answer.returncode == 2
        assert answer.stderr.startswith("newsvane: The system refused at ")
        assert str(tmp_path / "data" / path if path == "writer.lock" else tmp_path) in answer.stderr
        assert "Traceback" not in answer.stderr
        assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/d/x"),
            "/d/x: No space.*Make room",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/d/x"), "may write"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "Expected a service"),
        (sqlite3.OperationalError("database is locked"), "record of runs.*database is locked"),
        (httpx.ConnectError("All connection attempts failed"), "A connection failed: All"),
        (duckdb.IOException("IO Error: No space left"), "has room"),
        (
            RuntimeError("Failed to reach API at http://127.0.0.1:9/api/"),
            r"http://127\.0\.0\.1:9/api/ cannot be used.*PREFECT_API_URL",
        ),
        (
            ExceptionGroup("unhandled", [OSError(errno.EROFS, "Read-only file system", "/d")]),
            "/d: Read-only",
        ),
    ],
)
def test_failure_from_outside_says_what_and_what_next(error: Exception, words: str) -> None:
    told = sentence_of(error)
    assert told is not None
    assert "\n" not in told
    assert re.search(words, told), told


def test_mistake_of_the_program_keeps_its_traceback() -> None:
    assert sentence_of(KeyError("x")) is None
    assert sentence_of(duckdb.BinderException("no such column")) is None


def test_data_root_of_another_user_is_a_sentence(newsvane: Newsvane, tmp_path: Path) -> None:
    """As after a first try as root, before the service has its own user."""
    if os.getuid() != 0 or not (other := shutil.which("setpriv")):
        pytest.skip("only root can become another user, and with setpriv alone")
    assert newsvane("sql", "select 1").returncode == 0
    for folder in (*tmp_path.parents[:2], tmp_path):
        folder.chmod(0o755)
    became = [other, "--reuid=65534", "--regid=65534", "--clear-groups"]
    environment = {**os.environ, "NEWSVANE_DATA_ROOT": str(tmp_path / "data")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = run_to_its_end([*became, *command_of("dataset", "show")], REPOSITORY, environment)
    if "newsvane" not in done.stderr:
        pytest.skip(f"another user cannot run this Python: {done.stderr[-200:]}")
    assert done.returncode == 2
    assert "Permission denied. Expected a place that user 65534 may write" in done.stderr
    assert "Traceback" not in done.stderr
