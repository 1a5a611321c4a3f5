"""Lineage pages: for every forward prediction, what it saw and the payloads it came from.

One page per session. A page carries a digest of its predictions and outcomes and is written again
only when the digest changes, so a daily run touches a page or two of thousands.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.report.markup import TEMPLATES, render, write_page
from warehouse.lake import Lake

BATCH = 60
"""Sessions read from the warehouse at once."""

_DIGEST = re.compile(r'<meta name="newsvane-digest" content="([0-9a-f]+)">')


def write_lineage(lake: Lake, root: Path, states: pa.Table) -> list[dict[str, Any]]:
    """Bring `root/lineage/SESSION.html` up to date and return the sessions, the latest first.

    `states`: see `forward_states`. Each returned row: session, examples, predictions, href.
    """
    rows: list[dict[str, Any]] = lake.read("site_sessions", forward_states=states).to_pylist()
    stale = []
    for row in rows:
        row["href"] = f"lineage/{row['session']}.html"
        row["digest"] = hashlib.sha256(f"{row['digest']}{_template_digest()}".encode()).hexdigest()[
            :32
        ]
        if _written(root / row["href"]) != row["digest"]:
            stale.append(row)
    for start in range(0, len(stale), BATCH):
        _write(lake, root, stale[start : start + BATCH])
    return rows


def _write(lake: Lake, root: Path, wanted: list[dict[str, Any]]) -> None:
    sessions = [row["session"] for row in wanted]
    by_session: dict[Any, list[dict[str, Any]]] = {session: [] for session in sessions}
    for example in lake.read("site_lineage", {"sessions": sessions}).to_pylist():
        by_session[example["session"]].append(example)
    for row in wanted:
        text = render(
            "lineage_session.html",
            session=row["session"],
            digest=row["digest"],
            examples=by_session[row["session"]],
            here="lineage.html",
            up="../",
        )
        write_page(root / row["href"], text)


def _written(path: Path) -> str | None:
    """The digest in the page at `path`, if there is one."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as stream:
        found = _DIGEST.search(stream.read(2000))
    return found[1] if found else None


@cache
def _template_digest() -> str:
    """Changes when the pages' template or style does, so that all of them follow."""
    names = ("base.html", "site_base.html", "lineage_session.html", "parts.html", "page.css")
    return hashlib.sha256(b"".join((TEMPLATES / name).read_bytes() for name in names)).hexdigest()
