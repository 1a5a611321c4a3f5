"""Lineage: which statement writes and reads which table, and which table comes of which.

Read from the headers of blocks (`-- writes:`, `-- builds:`, `-- feeds:`) and their FROM and JOIN. A
temporary relation or a view between two tables is looked through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from warehouse.lake import sql

REPOSITORY = Path(__file__).resolve().parents[2]
_COMMENT = re.compile(r"--.*")
_SOURCE = re.compile(r"\b(?:FROM|JOIN|USING)\s+(\w+)")
_INNER = re.compile(r"\b(\w+) AS (?:NOT )?(?:MATERIALIZED )?\((?=\s*(?:SELECT|WITH|FROM)\b)")
_WORD = re.compile(r"\w+")
_BLOCK = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
# Rows that Python writes without a statement; tables with vintages are named in _Versioned.
_IN_PYTHON = re.compile(r"(?:tx\.append|tx\.upsert|_Versioned)\(\s*\"(\w+)\"|INSERT INTO (\w+) BY")
_IN_ALL = ("flows/*.py", "tasks/**/*.py", "warehouse/**/*.py")


@dataclass(frozen=True)
class Lineage:
    """Who writes and reads each table, and `edges` from a table to one that rows are made of it.

    `writers` and `readers` name statements; `modules` Python files that write rows themselves.
    """

    writers: Mapping[str, list[str]]
    readers: Mapping[str, list[str]]
    modules: Mapping[str, list[str]]
    edges: frozenset[tuple[str, str]]
    places: Mapping[str, str] = field(repr=False)
    """Of each statement the file below `warehouse/sql/`."""


@cache
def lineage() -> Lineage:
    """The lineage of the shipped statements."""
    tables = sql.relations("schema").keys()
    views = sql.relations("views")
    found = {name: sql.statement(name) for name in sql.names()}
    sources = {name: _sources(one.text) for name, one in found.items()}
    sources |= {name: _sources(text) - {name} for name, text in views.items()}
    builders: dict[str, set[str]] = {name: {name} for name in views}
    for name, one in found.items():
        for relation in set(_WORD.findall(one.builds or "")) - tables:
            builders.setdefault(relation, set()).add(name)
    writers: dict[str, list[str]] = {name: [] for name in tables}
    readers: dict[str, list[str]] = {name: [] for name in tables}
    edges = set()
    for name, one in found.items():
        for table in sources[name] & tables:
            readers[table].append(name)
        for table in set(_WORD.findall(one.writes or "")) & tables:
            writers[table].append(name)
        made = set(_WORD.findall(f"{one.writes or ''} {one.feeds or ''}")) & tables
        origins = _origins(name, sources, builders, set()) & tables if made else set()
        edges |= {(origin, table) for origin in origins for table in made if origin != table}
    return Lineage(writers, readers, _modules(tables), frozenset(edges), _places())


def _sources(text: str) -> set[str]:
    """The relations after FROM, JOIN or USING that the text does not itself define."""
    code = _COMMENT.sub("", text)
    return set(_SOURCE.findall(code)) - set(_INNER.findall(code))


def _origins(
    name: str, sources: Mapping[str, set[str]], builders: Mapping[str, set[str]], seen: set[str]
) -> set[str]:
    """What a statement reads, and what the builders of temporary relations among it read."""
    seen.add(name)
    found = set(sources[name])
    for builder in {one for relation in found for one in builders.get(relation, ())} - seen:
        found |= _origins(builder, sources, builders, seen)
    return found


def _modules(tables: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in tables}
    for path in sorted(path for pattern in _IN_ALL for path in REPOSITORY.glob(pattern)):
        named = {name for pair in _IN_PYTHON.findall(path.read_text("utf-8")) for name in pair}
        for table in named & found.keys():
            found[table].append(path.relative_to(REPOSITORY).as_posix())
    return found


def _places() -> dict[str, str]:
    return {
        name: path.relative_to(sql.SQL_ROOT).as_posix()
        for path in sorted(sql.SQL_ROOT.glob("*/*.sql"))
        for name in _BLOCK.findall(path.read_text("utf-8"))
    }
