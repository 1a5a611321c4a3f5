"""Data Docs that read well offline: great-expectations' own rendering inside a page of ours.

The stock pages fetch styles, scripts and images from seven outside hosts, fall apart without
them, and print sampled values unescaped. Here the content blocks are rendered by
great-expectations; the frame, the style sheet and the index are local, sampled values are
escaped, and a content-security policy forbids scripts and requests.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"
LISTED = 500
"""How many of the latest runs the index lists; older pages stay on disk."""

_STAMP = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(
    r"(?P<stamp>\d{8}T\d{6}\.\d{6}Z)__(?P<met>\d+)-of-(?P<all>\d+)__(?P<batch>.+)\.[0-9a-f]{8}"
)

_HEADINGS = re.compile(r"(</?h)([56])\b")
"""The stock sections' headings; three levels up they follow the page's own without a gap."""


@dataclass(frozen=True, slots=True)
class Run:
    """One validation run as its page's file name tells it. `checked_at` is UTC."""

    suite: str
    batch: str
    checked_at: datetime
    met: int
    expectations: int
    href: str

    @property
    def success(self) -> bool:
        """Whether every expectation was met."""
        return self.met == self.expectations


def add_page(outcome: Any, root: Path, *, suite: str, batch: str, checked_at: datetime) -> Path:
    """Render one validation result into `root` and refresh the index; earlier runs are kept.

    `outcome` is a great-expectations ExpectationSuiteValidationResult. Returns the page's path.
    """
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    document = ValidationResultsPageRenderer(run_info_at_end=True).render(_escaped(outcome))
    path = root / "validations" / suite / _file_name(outcome, batch, checked_at)
    text = _view().render(
        document,
        template="validation_page.j2",
        suite=suite,
        batch=batch,
        checked_at=checked_at.astimezone(UTC),
        success=bool(outcome.success),
        statistics=outcome.statistics,
        suite_page="../../index.html",
    )
    _write(path, _HEADINGS.sub(lambda tag: f"{tag[1]}{int(tag[2]) - 3}", text))
    _write(root / "index.html", _index(root))
    return path


def runs(root: Path) -> list[Run]:
    """Every run documented below `root`, the latest first."""
    found = [
        Run(
            suite=path.parent.name,
            batch=match["batch"],
            checked_at=datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC),
            met=int(match["met"]),
            expectations=int(match["all"]),
            href=f"validations/{path.parent.name}/{path.name}",
        )
        for path in (root / "validations").glob("*/*.html")
        if (match := _NAME.fullmatch(path.stem))
    ]
    return sorted(found, key=lambda run: (run.checked_at, run.href), reverse=True)


def _file_name(outcome: Any, batch: str, checked_at: datetime) -> str:
    slug = re.sub(r"[^A-Za-z0-9.=-]+", "_", batch).strip("_")[:80] or "batch"
    digest = hashlib.sha256(batch.encode()).hexdigest()[:8]
    found = outcome.statistics
    counts = f"{found['successful_expectations']}-of-{found['evaluated_expectations']}"
    stamp = checked_at.astimezone(UTC).strftime(_STAMP)
    return f"{stamp}__{counts}__{slug}.{digest}.html"


def _index(root: Path) -> str:
    every = runs(root)
    return str(
        _view()
        .env.get_template("index_page_local.j2")
        .render(runs=every[:LISTED], total=len(every), failed=sum(not run.success for run in every))
    )


def _view() -> Any:
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView(custom_views_directory=str(TEMPLATES))


def _escaped(outcome: Any) -> Any:
    """A copy of the result whose sampled values cannot be read as markup."""
    from copy import deepcopy

    copy = deepcopy(outcome)
    for result in copy.results:
        for key in ("partial_unexpected_list", "partial_unexpected_counts"):
            if key in result.result:
                result.result[key] = _escaped_value(result.result[key])
    return copy


def _escaped_value(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_escaped_value(item) for item in value)
    if isinstance(value, dict):
        return {name: _escaped_value(item) for name, item in value.items()}
    return value if isinstance(value, int | float) else html.escape(str(value))


def _write(path: Path, text: str) -> None:
    """Replace `path` in one step, so that a reader never meets half a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name[:80]}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
