"""Fixtures every room of the house may use."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse.lake import Lake, LakeSpec

pytest_plugins = ("tests.builders.frames", "tests.builders.warehouse")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def lake_spec(tmp_path: Path) -> LakeSpec:
    """A warehouse of its own for one test."""
    return LakeSpec(
        catalog=f"sqlite:{tmp_path / 'catalog.sqlite'}",
        storage=str(tmp_path / "lake"),
        landing=str(tmp_path / "landing"),
        lock=tmp_path / "writer.lock",
    )


@pytest.fixture
def lake(lake_spec: LakeSpec) -> Iterator[Lake]:
    """A real, empty DuckLake."""
    with Lake.open(lake_spec) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; skips when it is absent."""
    root = Path(os.environ.get("NEWSVANE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real data sets are not present at {root}; set NEWSVANE_SHARED_DATA")
    return root


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Prefect server of this test session's own."""
    from flows.platform.server import prefect_server

    before = dict(os.environ)
    with prefect_server(tmp_path_factory.mktemp("prefect"), free_port()) as api_url:
        # The server has its settings; the tests' own processes must not inherit its home.
        os.environ.clear()
        os.environ.update(before)
        yield api_url


@pytest.fixture(scope="module")
def prefect_runs(prefect_api: str) -> Iterator[str]:
    """Runs of this process and of its children are recorded by the test session's server."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    # Prefect reads the environment once, when it is imported; children read it anew.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_API_URL", prefect_api)
        chosen = {
            PREFECT_API_URL: prefect_api,
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
            # Its thread knows the settings of the import only, and would start a second server.
            PREFECT_LOGGING_TO_API_ENABLED: False,
        }
        with temporary_settings(chosen):
            yield prefect_api
