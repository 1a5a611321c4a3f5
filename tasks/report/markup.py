"""How pages are rendered: one Jinja environment, escaping on, and a few ways to write numbers."""

from __future__ import annotations

import json
import os
import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

PREDICTORS = {
    "fine_tuned": "fine-tuned model",
    "majority": "majority class",
    "previous_direction": "previous direction",
    "momentum": "momentum",
    "tfidf_logistic": "TF-IDF regression",
    "zero_shot": "base model, untrained",
    "always_up": "always up",
}
"""What predictors are called in prose; the others by their own names."""

_FORMS = {
    "whole": lambda value: f"{value:,.0f}",
    "percent": lambda value: f"{100 * value:.1f}%",
    "signed_percent": lambda value: f"{100 * value:+.2f}%",
    "signed1": lambda value: f"{value:+.1f}",
    "signed3": lambda value: f"{value:+.3f}",
    "plain2": lambda value: f"{value:.2f}",
    "plain3": lambda value: f"{value:.3f}",
}


def predictor_label(name: str) -> str:
    """A predictor's name in prose; a model that goes by its own id is cut to the id's beginning."""
    if name not in PREDICTORS and re.fullmatch(r"[0-9a-f]{16,}", name):
        return f"model {name[:8]}"
    return PREDICTORS.get(name, name.replace("_", " "))


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
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
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


def _pretty(text: str) -> str:
    """JSON text laid out for reading; any other text as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False)
    except ValueError:
        return text
