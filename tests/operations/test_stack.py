"""`newsvane up` in full: locked, on its own ports, heard when a run fails, gone after `down`."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from flows.platform.server import ServerError, check_exposure
from tests.builders.command_line import Newsvane
from tests.builders.servers import asking, free_ports

SECRET = "analyst:correct-horse-battery"

pytestmark = pytest.mark.slow


@pytest.fixture
def command(newsvane_process: Newsvane) -> Newsvane:
    """A `newsvane` command on a server of its own, with authentication on."""
    return functools.partial(newsvane_process, PREFECT_SERVER_API_AUTH_STRING=SECRET)


def until(condition: Callable[[], object], seconds: float = 600) -> object:
    """What the condition gives once it gives anything; the limit is for what hangs."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.3)
    raise AssertionError(f"nothing came within {seconds} s")


def test_stack_is_locked_reports_a_failed_run_and_ends(command: Newsvane, tmp_path: Path) -> None:
    port, site = free_ports(2)
    up = command("up", "--port", str(port), "--site-port", str(site))
    assert up.returncode == 0, up.stderr
    data, api = tmp_path / "data", f"http://127.0.0.1:{port}/api"
    try:
        assert httpx.get(f"{api}/health").status_code == 200
        for path, wrong in (("/flows/filter", None), ("/flow_runs/filter", ("analyst", "guess"))):
            assert httpx.get(f"{api}{path}", auth=wrong).status_code == 401
            assert httpx.post(f"{api}{path}", json={}, auth=wrong).status_code == 403
        assert "already up" in command("up").stderr
        refused = httpx.post(f"http://127.0.0.1:{site}/alarms", json={"flow": "forged"})
        assert refused.status_code == 401

        with asking(api, SECRET) as server:
            ask(server, start="2012-06-08", end="2012-06-04")
            alarm = json.loads(str(until(lambda: inbox(data))))
            assert (alarm["flow"], alarm["state"]) == ("backfill", "Failed")
            assert "Swap the two dates" in alarm["message"]
            assert alarm["run"] in alarm["message"] or "backfill 2012-06-08" in alarm["run"]
            automations = server.post("/automations/filter", json={}).json()
            assert {entry["name"] for entry in automations} == {
                "newsvane: a run failed",
                "newsvane: no daily run",
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


def test_doctor_names_what_is_missing_and_the_remedy(newsvane: Newsvane) -> None:
    away = ("--set", "warehouse.catalog=postgres:host=127.0.0.1 port=1")
    found = newsvane(*away, "doctor", PREFECT_SERVER_API_AUTH_STRING=SECRET)
    assert found.returncode == 1
    assert "warehouse" in found.stdout
    assert "missing" in found.stdout
    assert SECRET not in found.stdout + found.stderr
