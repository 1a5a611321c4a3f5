"""Flows stay shallow: from a setting to a deployment it is five modules."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

FLOWS = Path(__file__).resolve().parents[2] / "flows"
MODULES = {
    ".".join(("flows", *path.relative_to(FLOWS).with_suffix("").parts)): path
    for path in FLOWS.rglob("*.py")
    if path.name != "__init__.py"
}


def imported_at_once(body: Iterable[ast.stmt]) -> Iterator[str]:
    """What a module imports when it is loaded; not in functions, nor for a type checker alone."""
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.With | ast.Try):
            yield from imported_at_once(node.body)


@cache
def chain(module: str) -> tuple[str, ...]:
    """The longest way down from a module through imports inside `flows`, itself first."""
    names = imported_at_once(ast.parse(MODULES[module].read_text(encoding="utf-8")).body)
    below = (chain(name) for name in names if name in MODULES)
    return (module, *max(below, key=len, default=()))


def test_flows_have_at_most_five_levels_of_imports() -> None:
    deepest = max((chain(module) for module in MODULES), key=len)
    assert len(deepest) <= 5, " > ".join(deepest)
