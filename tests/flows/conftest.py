"""One Prefect server for every test that runs flows, and the command line as users call it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.serve import prefect_server

REPOSITORY = Path(__file__).resolve().parents[2]
Newsvane = Callable[..., "subprocess.CompletedProcess[str]"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Prefect server of this test session's own."""
    before = dict(os.environ)
    with prefect_server(tmp_path_factory.mktemp("prefect"), free_port()) as api_url:
        # The server has its settings; the tests' own processes must not inherit its home.
        os.environ.clear()
        os.environ.update(before)
        yield api_url


def without_prefect(*kept: str) -> dict[str, str]:
    """This process's environment less Prefect's settings, except those named."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PREFECT_") or name in kept
    }


@pytest.fixture
def newsvane(tmp_path: Path) -> Newsvane:
    """Run the command in a process of its own with its data below tmp_path."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", *words],
            cwd=REPOSITORY,
            env={
                **without_prefect("PREFECT_API_URL"),
                "NEWSVANE_DATA_ROOT": str(tmp_path / "data"),
                "COLUMNS": "200",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
