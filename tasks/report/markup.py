"""Pages and the files beside them: one Jinja environment, escaping on; numbers as CSV and JSON."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from tasks.evaluation.spec import predictor_label
from warehouse.lake import Lake
from warehouse.storage.atomic import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = "files"

Rows = list[dict[str, Any]]
"""One dictionary per row of a table."""

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


def read(lake: Lake, root: Path, name: str, **tables: pa.Table) -> Rows:
    """The rows of the statement `name` over the keyword tables, also exported for download."""
    return exported(root, name.removeprefix("site_"), lake.read(name, **tables))


def exported(root: Path, name: str, table: pa.Table) -> Rows:
    """The rows of `table`, which are also exported for download."""
    export(root, name, table)
    rows: Rows = table.to_pylist()
    return rows


def export(root: Path, name: str, table: pa.Table) -> None:
    """Write `root/files/NAME.csv` and `.json` (a list of objects; times are ISO 8601, UTC)."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    arrow_csv.write_csv(table, folder / f"{name}.csv")
    text = json.dumps(table.to_pylist(), default=_iso, ensure_ascii=False, indent=1)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def page(name: str, **context: Any) -> str:
    """The text of one page of the site's top level."""
    here = "index.html" if name == "today" else f"{name}.html"
    return render(f"{name}.html", here=here, up="", **context)


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
    environment.filters |= {
        "numeral": numeral,
        "long_day": lambda day: f"{day:%A}, {day.day} {day:%B %Y}",
        "spaced": lambda code: code.replace("_", " "),
        "count": lambda number, noun: f"{number:,} {noun}{'' if number == 1 else 's'}",
        "predictor": predictor_label,
        "pretty": partial(json.dumps, indent=2, sort_keys=True, ensure_ascii=False),
    }
    return environment


def _iso(value: object) -> str:
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat else str(value)
