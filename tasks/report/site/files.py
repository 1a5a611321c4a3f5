"""Files of the site: the numbers behind the plots, beside the pages, as CSV and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from tasks.report.markup import render
from warehouse.lake import Lake

FOLDER = "files"

Rows = list[dict[str, Any]]


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


def _iso(value: object) -> str:
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat else str(value)
