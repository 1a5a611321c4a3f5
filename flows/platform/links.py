"""Links that open from the Prefect UI: through the stack's site when it is up, else as files."""

from __future__ import annotations

import json
from pathlib import Path

from flows.settings import Settings

SERVED = ("data_docs", "report.html")
"""What the site serves of the data root besides the site itself."""


def link_to(settings: Settings, path: Path) -> str:
    """The address of a page below the data root. A browser opens file: links only by hand."""
    inside = path.resolve().relative_to(settings.data_root.resolve()).as_posix()
    try:
        site = json.loads((settings.data_root / "stack.json").read_text(encoding="utf-8"))["site"]
    except (OSError, ValueError, KeyError):
        return path.resolve().as_uri()
    return f"{site}/{inside.removeprefix('site/')}"
