"""Rendering of pages: one Jinja environment, escaping on, and a few ways to write numbers."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.evaluation.spec import predictor_label
from warehouse.storage.atomic import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

_FORMS = {
    "whole": lambda value: f"{value:,.0f}",
    "percent": lambda value: f"{100 * value:.1f}%",
    "signed_percent": lambda value: f"{100 * value:+.2f}%",
    "signed1": lambda value: f"{value:+.1f}",
    "signed3": lambda value: f"{value:+.3f}",
    "plain2": lambda value: f"{value:.2f}",
    "plain3": lambda value: f"{value:.3f}",
}


def numeral(value: float | None, form: str) -> str:
    """`value` in the named form, with a true minus sign; nothing for None."""
    if value is None:
        return ""
    text = str(_FORMS[form](value))
    if not text.strip("-+0.%"):
        text = text.removeprefix("-")
    return text.replace("-", "\N{MINUS SIGN}")


def render(template: str, **context: Any) -> str:
    """The page `templates/TEMPLATE` with the style sheet inside it. Every value is escaped."""
    css = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    from markupsafe import Markup

    return _environment().get_template(template).render(css=Markup(css), **context)  # noqa: S704


def write_page(path: Path, text: str) -> Path:
    """Replace the page at `path` in one step, so that no reader meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return path


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["numeral"] = numeral
    environment.filters["long_day"] = _long_day
    environment.filters["spaced"] = _spaced
    environment.filters["count"] = _count
    environment.filters["predictor"] = predictor_label
    environment.filters["pretty"] = _pretty
    return environment


def _long_day(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B %Y}"


def _spaced(code: str) -> str:
    """A reason or kind as stored, in words."""
    return code.replace("_", " ")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _pretty(document: object) -> str:
    """A document as JSON laid out for reading."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
