"""The site in a real browser: loading, keyboard, accessibility, phone and desktop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PAGES = ("index.html", "scoreboard.html", "data.html", "training.html", "lineage.html")

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def shown_pages(site: Any) -> list[Path]:
    """The five pages and the latest session's lineage."""
    return [site.root / name for name in PAGES] + sorted((site.root / "lineage").iterdir())[-1:]


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_pages_load_fast_quietly_and_fit_the_screen(
    browser, show, outside_requests, market_site, size: str
) -> None:
    for path in shown_pages(market_site):
        width = show(path, size)
        taken = browser.execute_script(
            "const t = performance.getEntriesByType('navigation')[0]; return t.loadEventEnd;"
        )
        assert 0 < taken < 2000, path.name
        assert browser.get_log("browser") == [], path.name
        assert outside_requests() == [], path.name
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, f"{path.name} scrolls sideways"


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desktop", "dark")])
def test_pages_pass_the_accessibility_checks_of_axe(
    show, violations, market_site, size: str, scheme: str
) -> None:
    for path in shown_pages(market_site):
        show(path, size, scheme)
        assert violations() == set(), path.name


def test_every_page_is_reached_by_clicking_and_names_itself(browser, show, market_site) -> None:
    from selenium.webdriver.common.by import By

    show(market_site.root / "index.html", "phone")
    for name in ("Scoreboard", "Data", "Training", "Lineage", "Today"):
        browser.find_element(By.LINK_TEXT, name).click()
        assert browser.title.startswith(name)
        current = browser.find_elements(By.CSS_SELECTOR, "nav [aria-current=page]")
        assert [link.text for link in current] == [name]
    browser.find_element(By.CSS_SELECTOR, ".calls h3 a").click()
    assert browser.title.startswith("Lineage of 2024-01-05")
    assert "Quarterly results" in browser.find_element(By.TAG_NAME, "main").text
    browser.find_element(By.LINK_TEXT, "Newsvane").click()
    assert browser.title.startswith("Today")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser, show, market_site) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    show(market_site.root / "scoreboard.html", "desktop")
    focusable = browser.execute_script(
        "return document.querySelectorAll('a[href], summary, [tabindex=\"0\"]').length"
        " - document.querySelectorAll('details:not([open]) :is(a[href], [tabindex=\"0\"])').length"
    )
    reached = []
    for _ in range(focusable):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        element = browser.switch_to.active_element
        style = browser.execute_script(
            "const s = getComputedStyle(arguments[0]); return [s.outlineStyle, s.outlineWidth]",
            element,
        )
        assert style[0] != "none", element.get_attribute("outerHTML")[:120]
        reached.append(element.id)
    assert len(set(reached)) == focusable
    show(market_site.root / "scoreboard.html", "desktop")
    ActionChains(browser).send_keys(Keys.TAB, Keys.ENTER).perform()
    assert browser.current_url.endswith("#main"), "the first stop skips the navigation"


def test_hostile_headlines_do_not_run(browser, show, market_site) -> None:
    for path in shown_pages(market_site):
        show(path, "desktop")
        assert "owned" not in browser.title
        assert browser.execute_script("return document.scripts.length") == 0


def test_plots_follow_the_colour_scheme(browser, show, market_site) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        show(market_site.root / "scoreboard.html", "desktop", scheme)
        colours[scheme] = browser.execute_script(
            "return [getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('.plot .wide svg text')).fill]"
        )
    assert colours["light"][0] != colours["dark"][0]
    assert colours["light"][1] != colours["dark"][1]
