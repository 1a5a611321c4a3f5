"""The command line as users call it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
Newsvane = Callable[..., "subprocess.CompletedProcess[str]"]


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
            [sys.executable, "-m", "flows.cli.main", *words],
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


@pytest.fixture
def free_ports() -> tuple[int, int]:
    """Two ports of loopback that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
