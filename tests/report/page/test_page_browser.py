"""The report in a real browser: it fits, asks for nothing, runs nothing, and passes axe."""

from __future__ import annotations

import pytest

from tasks.report.page.collect import collect
from tasks.report.page.page import write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desktop", "dark")])
def test_report_fits_the_screen_and_passes_the_accessibility_checks_of_axe(
    browser, show, violations, outside_requests, house, tmp_path, size: str, scheme: str
) -> None:
    page = write_report(collect(house.lake), tmp_path / "report.html")
    width = show(page, size, scheme)
    assert browser.title == "Better than every baseline · Newsvane report"
    assert browser.execute_script("return document.scripts.length") == 0
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    assert outside_requests() == []
    assert violations() == set()
