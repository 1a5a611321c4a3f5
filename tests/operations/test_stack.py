"""`newsvane up` in full: locked, on its own ports, heard when a run fails, gone after `down`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from flows.platform.server import ServerError, check_exposure

REPOSITORY = Path(__file__).resolve().parents[2]
CREDENTIALS = ("desk", "correct-horse-battery")
SECRET = ":".join(CREDENTIALS)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect")]


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A `newsvane` command on a data root and a server of its own, with authentication on."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {
        **clean,
        "NEWSVANE_DATA_ROOT": str(tmp_path / "data"),
        "PREFECT_SERVER_API_AUTH_STRING": SECRET,
        "COLUMNS": "200",
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flows.cli.main", *words],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


def until(condition: Callable[[], object], seconds: float = 120) -> object:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.3)
    raise AssertionError(f"nothing came within {seconds} s")


def test_stack_is_locked_tells_of_a_failed_run_and_ends(
    command: Callable[..., subprocess.CompletedProcess[str]],
    free_ports: tuple[int, int],
    tmp_path: Path,
) -> None:
    port, site = free_ports
    up = command("up", "--port", str(port), "--site-port", str(site))
    assert up.returncode == 0, up.stderr
    data, api = tmp_path / "data", f"http://127.0.0.1:{port}/api"
    try:
        assert httpx.get(f"{api}/health").status_code == 200
        for path, wrong in (("/flows/filter", None), ("/flow_runs/filter", ("desk", "guess"))):
            assert httpx.post(f"{api}{path}", json={}, auth=wrong).status_code == 401
        assert "already up" in command("up").stderr
        refused = httpx.post(f"http://127.0.0.1:{site}/alarms", json={"flow": "forged"})
        assert refused.status_code == 401

        with httpx.Client(base_url=api, auth=CREDENTIALS, timeout=30) as server:
            ask(server, start="2012-06-08", end="2012-06-04")
            told = json.loads(str(until(lambda: inbox(data))))
            assert (told["flow"], told["state"]) == ("backfill", "Failed")
            assert "Swap the two dates" in told["message"]
            assert told["run"] in told["message"] or "backfill 2012-06-08" in told["run"]
            automations = server.post("/automations/filter", json={}).json()
            assert {entry["name"] for entry in automations} == {
                "newsvane: a run failed",
                "newsvane: a run died",
            }
            # Neither the run's logs nor its artifacts nor the blocks show what must stay secret.
            shown = json.dumps(
                [
                    server.post(f"/{kind}/filter", json={}).json()
                    for kind in ("logs", "flow_runs", "artifacts", "block_documents")
                ]
            )
        assert SECRET not in shown
        assert "Bearer" not in shown
    finally:
        down = command("down")
    assert "Stopped" in down.stdout
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{api}/health")
    assert not (data / "stack.json").exists()
    files = [
        path for path in data.rglob("*") if path.suffix in {".log", ".json", ".jsonl", ".html"}
    ]
    assert files
    assert not [path for path in files if SECRET in path.read_text(errors="replace")]
    assert "Nothing was up" in command("down").stdout


def ask(server: httpx.Client, **parameters: str) -> None:
    """Start a backfill, once its deployment is there."""

    def deployed() -> list[str]:
        listed = server.post("/deployments/filter", json={}).json()
        return [entry["id"] for entry in listed if entry["name"] == "backfill"]

    (backfill,) = until(deployed)  # type: ignore[misc]

    def started() -> bool:
        made = server.post(
            f"/deployments/{backfill}/create_flow_run",
            json={"parameters": parameters, "state": {"type": "SCHEDULED"}},
        )
        if made.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return False  # its database is busy: Prefect's own clients ask again
        return made.raise_for_status().is_success

    until(started)


def inbox(data: Path) -> str:
    path = data / "alarms.jsonl"
    return path.read_text().splitlines()[0] if path.exists() else ""


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])
def test_host_beyond_loopback_needs_authentication(host: str) -> None:
    with pytest.raises(ServerError, match="without authentication"):
        check_exposure(host, {})
    check_exposure(host, {"PREFECT_SERVER_API_AUTH_STRING": SECRET})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_none(host: str) -> None:
    check_exposure(host, {})


def test_doctor_names_what_is_missing_and_the_remedy(
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    told = command("--set", "warehouse.catalog=postgres:host=127.0.0.1 port=1", "doctor")
    assert told.returncode == 1
    assert "warehouse" in told.stdout
    assert "missing" in told.stdout
    assert SECRET not in told.stdout + told.stderr
