"""What ran is seen: flows, runs and artifacts in a real browser on a real server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
import yaml
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import element_to_be_clickable as clickable
from selenium.webdriver.support.ui import WebDriverWait

from tests.builders.command_line import REPOSITORY, Newsvane, command_of, without_prefect
from tests.builders.servers import GivePrefect, asking, free_ports

LONGEST_WAIT = 600  # for what hangs: no page or run takes a tenth of it

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, with_prefect: GivePrefect) -> Path:
    """The data root of the server and of the runs that it shows."""
    return with_prefect(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[str]:
    """The address of a `newsvane ui` that serves its deployments."""
    (port,) = free_ports()
    command = subprocess.Popen(
        command_of("ui", "--port", str(port)),
        cwd=REPOSITORY,
        env={**without_prefect(), "NEWSVANE_DATA_ROOT": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert command.stdout is not None
        assert f"http://127.0.0.1:{port}" in command.stdout.readline()
        assert str(root / "prefect" / "credentials") in command.stdout.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        # Not SIGINT: a runner in the background has its children ignore it.
        command.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            command.wait(timeout=120)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()


@pytest.fixture(scope="module")
def credentials(root: Path) -> str:
    """USER:PASSWORD that the command has made; as good as a password, it is nobody else's."""
    path = root / "prefect" / "credentials"
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_text().strip()


@pytest.fixture(scope="module")
def browser(browser: webdriver.Chrome, served: str, credentials: str) -> webdriver.Chrome:
    """The browser once its user has logged in with what the console names."""
    browser.get(f"{served}/runs")
    waiting = WebDriverWait(browser, LONGEST_WAIT)
    field = waiting.until(clickable((By.CSS_SELECTOR, "input[type=password]")))
    field.send_keys(credentials, Keys.ENTER)
    waiting.until(lambda page: "/login" not in page.current_url)
    return browser


def seen(browser: webdriver.Chrome, address: str, *words: str) -> bytes:
    """Open a page, wait until it shows all the words, and return a picture of it."""
    browser.get(address)

    def shows_all(page: webdriver.Chrome) -> bool:
        text = page.find_element(By.TAG_NAME, "body").text
        return all(word in text for word in words)

    try:
        WebDriverWait(browser, LONGEST_WAIT).until(shows_all)
    except Exception as error:
        text = browser.find_element(By.TAG_NAME, "body").text
        raise AssertionError(f"{address} does not show {words}; it shows: {text[:1500]}") from error
    return browser.get_screenshot_as_png()


def start_from_the_form(
    browser: webdriver.Chrome, server: httpx.Client, name: str, **parameters: str
) -> str:
    """Fill in and submit a deployment's form; the address of the run it started, once it ended."""

    declared = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text("utf-8"))["deployments"]
    names = {entry["name"] for entry in declared}

    def registered(_: object) -> dict[str, str]:
        # All of them: while they are being written, SQLite may turn a new run away for a moment.
        listed = server.post("/deployments/filter", json={}).json()
        found = {entry["name"]: entry["id"] for entry in listed}
        return found if names <= found.keys() else {}

    served = str(server.base_url).removesuffix("/api/")
    deployment = WebDriverWait(browser, LONGEST_WAIT).until(registered)[name]
    filled = urlencode({"parameters": json.dumps(parameters)}) if parameters else ""
    browser.get(f"{served}/deployments/deployment/{deployment}/run?{filled}")
    submit = WebDriverWait(browser, LONGEST_WAIT).until(
        lambda page: page.find_element(By.XPATH, "//button[contains(., 'Submit')]")
    )
    submit.click()
    asked = {"deployments": {"id": {"any_": [deployment]}}}

    def started(_: object) -> list[str]:
        runs = server.post("/flow_runs/filter", json=asked).json()
        return [run["id"] for run in runs]

    (run,) = WebDriverWait(browser, LONGEST_WAIT).until(started)

    def ended(_: object) -> str | None:
        # Asked of the server: the page of a running flow shows "Completed" in its logs already.
        state = server.get(f"/flow_runs/{run}").json()["state"]
        return state["type"] if state["type"] in {"COMPLETED", "FAILED", "CRASHED"} else None

    assert WebDriverWait(browser, LONGEST_WAIT).until(ended) == "COMPLETED"
    return f"{served}/runs/flow-run/{run}"


def test_daily_and_backfill_start_from_the_form_and_succeed(
    served: str, credentials: str, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    backfill = {"start": "2012-06-04", "end": "2012-06-08"}
    for name, parameters in (("daily", {}), ("backfill", backfill)):
        with asking(f"{served}/api", credentials) as server:
            run = start_from_the_form(browser, server, name, **parameters)
        picture = seen(browser, run, "Completed")
        (tmp_path / f"{name}.png").write_bytes(picture)
    for artifact in ("ingest", "dataset-card", "predictions", "site"):
        picture = seen(browser, f"{served}/artifacts/key/{artifact}", artifact)
        (tmp_path / f"artifact-{artifact}.png").write_bytes(picture)


def test_flows_runs_and_artifacts_are_shown(
    served: str, root: Path, browser: webdriver.Chrome, newsvane_process: Newsvane, tmp_path: Path
) -> None:
    days = ("2012-06-11", "2012-06-15")
    only = ("--what", "headlines")
    done = newsvane_process("backfill", *days, *only, NEWSVANE_DATA_ROOT=str(root))
    assert done.returncode == 0, done.stderr
    pages = {
        "deployments": ("daily", "backfill", "dataset", "finetune", "evaluate", "predict"),
        "runs": ("backfill {} to {}".format(*days), "Completed"),
        "artifacts": ("ingest",),
    }
    for page, words in pages.items():
        picture = seen(browser, f"{served}/{page}", *words)
        (tmp_path / f"{page}.png").write_bytes(picture)
        assert len(picture) > 20_000, f"the picture of {page} is nearly empty"
