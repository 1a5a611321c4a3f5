"""The lesson's page, run: its printed outputs, its pictures and its notebook made anew.

    python docs/explanation/how-a-language-model-learns/make.py [--as-printed]

The page is the source. Its `python` blocks are run in order in one namespace, as a notebook's
cells; the `text` block behind one is what it printed. With
`--as-printed` nothing is run: the notebook alone is made of the page as it stands.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.with_suffix(".md")
NOTEBOOK = FOLDER.with_suffix(".ipynb")
_CODE = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """Prose in Markdown, or code with what it printed."""

    text: str
    is_code: bool = False
    output: str = ""


def cells(page: str) -> list[Cell]:
    """The page's prose and code in order; together they are the whole page."""
    return list(_cells(page))


def _cells(page: str) -> Iterator[Cell]:
    start = 0
    for block in _CODE.finditer(page):
        if prose := page[start : block.start()].strip("\n"):
            yield Cell(prose)
        yield Cell(block[1].rstrip("\n"), is_code=True, output=block[2] or "")
        start = block.end()
    if prose := page[start:].strip("\n"):
        yield Cell(prose)


def run(lesson: list[Cell]) -> tuple[list[Cell], dict[str, Any]]:
    """The cells with what their code prints now, and the namespace it leaves.

    The working directory must be the notebook's.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    done = []
    for number, cell in enumerate(lesson):
        if cell.is_code:
            printed = io.StringIO()
            with redirect_stdout(printed):
                exec(compile(cell.text, f"cell {number} of {PAGE.name}", "exec"), names)  # noqa: S102
            cell = replace(cell, output=printed.getvalue())
        done.append(cell)
    return done, names


def page_of(lesson: list[Cell]) -> str:
    """The cells as the page's Markdown."""
    parts = []
    for cell in lesson:
        if not cell.is_code:
            parts.append(f"{cell.text}\n")
            continue
        parts.append(f"```python\n{cell.text}\n```\n")
        if cell.output:
            parts.append(f"```text\n{cell.output}```\n")
    return "\n".join(parts)


def notebook_of(lesson: list[Cell]) -> str:
    """The cells as a notebook (nbformat 4.5)."""
    content = {
        "cells": [_notebook_cell(number, cell) for number, cell in enumerate(lesson)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _notebook_cell(number: int, cell: Cell) -> dict[str, Any]:
    made: dict[str, Any] = {
        "cell_type": "code" if cell.is_code else "markdown",
        "id": f"cell-{number}",
        "metadata": {},
        "source": cell.text.splitlines(keepends=True),
    }
    if cell.is_code:
        printed = cell.output.splitlines(keepends=True)
        stream = {"output_type": "stream", "name": "stdout", "text": printed}
        made |= {"execution_count": None, "outputs": [stream] if printed else []}
    return made


def main() -> None:
    """Run the page where it stands and write what came of it."""
    lesson = cells(PAGE.read_text("utf-8"))
    if "--as-printed" not in sys.argv[1:]:
        os.chdir(FOLDER.parent)
        lesson, _ = run(lesson)
    PAGE.write_text(page_of(lesson), "utf-8")
    NOTEBOOK.write_text(notebook_of(lesson), "utf-8")


if __name__ == "__main__":
    main()
