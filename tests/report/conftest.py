"""A real browser to look at pages with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

SIZES = {"phone": (390, 844, True), "desktop": (1280, 900, False)}
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium that logs its console and its requests."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no chromium with chromedriver is installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


@pytest.fixture
def show(browser: Any) -> Callable[..., int]:
    """Opens a page from disk at a size and colour scheme, with the logs emptied before.

    Returns the width it was given, in CSS pixels.
    """

    def opened(path: Path, size: str, scheme: str = "light") -> int:
        width, height, mobile = SIZES[size]
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile},
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(path.as_uri())
        return width

    return opened


@pytest.fixture
def violations(browser: Any) -> Callable[[], set[str]]:
    """What axe finds wrong with the page that is open, folded parts included."""
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")

    def look() -> set[str]:
        browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        browser.execute_script(axe)
        found = browser.execute_async_script(
            "axe.run({resultTypes: ['violations']}).then(r => arguments[0](r.violations))"
        )
        return {
            f"{item['id']}: {item['help']} ({item['nodes'][0]['html'][:120]})" for item in found
        }

    return look


@pytest.fixture
def outside_requests(browser: Any) -> Callable[[], list[str]]:
    """The requests over a network since the page was opened."""

    def look() -> list[str]:
        messages = [entry["message"] for entry in browser.get_log("performance")]
        sent = [text for text in messages if '"Network.requestWillBeSent"' in text]
        return [text for text in sent if '"url":"http' in text]

    return look
