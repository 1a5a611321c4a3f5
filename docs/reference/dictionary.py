"""The data dictionary, made from comments and statements when the site is built (a hook)."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.lake import sql
from warehouse.lake.comments import comments_in

sys.path.insert(0, str(Path(__file__).parent))  # a hook is loaded by its path alone
from lineage import Lineage, lineage

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_COLUMN = re.compile(
    r"^\s+(?P<name>\w+)\s+(?P<type>[A-Z]+(?:\(.+\))?(?:\[\])?)(?P<filled> NOT NULL)?,?$"
)
_BOX, _STEP = (150, 26), (200, 40)
ABOUT = """# Data dictionary

Made from the warehouse's schema and statements. Query it with `newsvane sql` or `Reader.sql`. The
catalog keeps what is said here:

```bash
newsvane sql "from duckdb_columns() select table_name, column_name, comment where comment > ''"
```

`TIMESTAMPTZ` values are UTC instants, `DATE` values are dates local to the exchange, JSON is kept
as text. A column that may be NULL says what that means.

## Lineage

An arrow leads from a table to one whose rows are made of it: by a statement, or by Python from what
a statement gives. What comes from vendors, feeds and files alone has no arrow into it. Upkeep,
audit and reports read many tables and are not drawn; below, each table names who writes and who
reads it.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated page to the site."""
    from mkdocs.structure.files import File

    for name, make in PAGES.items():
        files.append(File.generated(config, f"{name}.md", content=make()))
    return files


def dictionary_page() -> str:
    """Every table with grain, columns, writers and readers; every view; and what comes of what."""
    known = lineage()
    tables, views = sql.relations("schema"), sql.relations("views")
    parts = [ABOUT, '<div class="wide">', graph(known), "</div>", ""]
    for name, text in tables.items():
        parts += [f"## `{name}`", "", *_table(name, text), *_flow(name, known)]
    parts += ["## Views", "", "Relations that are computed from the tables above.", ""]
    for name, text in views.items():
        body = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
        parts += [f"### `{name}`", "", *_remarks(text), "```sql", body, "```", ""]
    return "\n".join(parts)


def columns_of(schema: str) -> list[tuple[str, str, bool]]:
    """Name, type and whether it is always filled, of each column of one schema file."""
    found = map(_COLUMN.match, schema.splitlines())
    return [(match["name"], match["type"], bool(match["filled"])) for match in found if match]


def _table(name: str, text: str) -> list[str]:
    meaning = comments_in(text)
    rows = [
        f"| `{column}` | {kind} | {'' if filled else 'yes'} | "
        f"{_cell(meaning[f'{name}.{column}'])} |"
        for column, kind, filled in columns_of(text)
    ]
    head = ["| column | type | may be NULL | meaning |", "|---|---|---|---|"]
    return [_cell(meaning[name]), "", *head, *rows, ""]


def _flow(name: str, known: Lineage) -> list[str]:
    statements = [_statement(writer, known) for writer in known.writers[name]]
    writers = [*statements, *(f"`{module}`" for module in known.modules[name])]
    readers = [_statement(reader, known) for reader in known.readers[name]]
    return [
        f"Written by {', '.join(writers)}.",
        "",
        f"Read by {', '.join(readers) or 'no statement'}.",
        "",
    ]


def _statement(name: str, known: Lineage) -> str:
    return f"`{name}` ({known.places[name].removesuffix('.sql')})"


def _remarks(text: str) -> list[str]:
    """The grain and the other comments at the head of one view's file."""
    remarks = [line.removeprefix("-- ") for line in text.splitlines() if line.startswith("--")]
    grain, *rest = remarks
    grain = grain.removeprefix("grain: ")
    return [f"**{grain[:1].upper()}{grain[1:]}.**", "", *([" ".join(rest), ""] if rest else [])]


def _cell(text: str) -> str:
    shown = text.replace("|", "\\|").replace("*", "\\*")
    return re.sub(r"\b\w+_\w+\b", r"`\g<0>`", shown)


def graph(known: Lineage) -> str:
    """The arrows between tables as SVG in the page's colour; a name leads to its table."""
    places = _placed(known)
    width = max(x for x, _ in places.values()) + _BOX[0] + 4
    height = max(y for _, y in places.values()) + _BOX[1] + 4
    lines = [
        f'<svg class="lineage" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Which table comes of which">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="currentColor"/></marker>'
        "</defs>",
    ]
    lines += [_arrow(places[origin], places[table]) for origin, table in sorted(known.edges)]
    for name, (x, y) in places.items():
        lines += [
            f'<a href="#{name}"><rect x="{x}" y="{y}" width="{_BOX[0]}" height="{_BOX[1]}" rx="4"/>'
            f'<text x="{x + _BOX[0] / 2:g}" y="{y + _BOX[1] / 2 + 4:g}">{name}</text></a>'
        ]
    return "\n".join([*lines, "</svg>"])


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    half = _BOX[1] // 2
    x, y, to_x, to_y = start[0] + _BOX[0], start[1] + half, end[0], end[1] + half
    if start[0] == end[0]:  # one column: around the right side
        to_x, bend = x, x + 30
        curve = f"M{x} {y}C{bend} {y} {bend} {to_y} {to_x} {to_y}"
    elif start[0] > end[0]:  # back: from side to side, below what lies between
        x, to_x = start[0], end[0] + _BOX[0]
        curve = f"M{x} {y}C{x - 40} {y} {to_x + 40} {to_y} {to_x} {to_y}"
    else:
        curve = f"M{x} {y}C{x + 40} {y} {to_x - 40} {to_y} {to_x} {to_y}"
    return f'<path d="{curve}" marker-end="url(#tip)"/>'


def _placed(known: Lineage) -> dict[str, tuple[int, int]]:
    """Left upper corners: a column behind those it comes of, the unconnected in rows below."""
    edges = {pair for pair in known.edges if pair[::-1] not in known.edges}
    connected = {name for edge in known.edges for name in edge}
    depths: dict[str, int] = {}
    for name in sorted(connected):
        _depth(name, edges, depths, ())
    columns: list[list[str]] = [[] for _ in range(max(depths.values()) + 1)]
    for name, depth in sorted(depths.items()):
        columns[depth].append(name)
    tall = max(map(len, columns))
    places: dict[str, tuple[int, int]] = {}
    for number, names in enumerate(columns):
        first = (tall - len(names)) * _STEP[1] // 2
        origins = {name: _height(name, edges, places) for name in names}
        for row, name in enumerate(sorted(names, key=lambda name: (origins[name], name))):
            places[name] = (2 + number * _STEP[0], 2 + first + row * _STEP[1])
    for number, name in enumerate(sorted(known.writers.keys() - connected)):
        row, column = divmod(number, len(columns))
        places[name] = (2 + column * _STEP[0], 2 + (tall + 1 + row) * _STEP[1])
    return places


def _depth(
    name: str, edges: Iterable[tuple[str, str]], depths: dict[str, int], path: tuple[str, ...]
) -> int:
    if name not in depths:
        before = [one for one, other in edges if other == name and one not in (*path, name)]
        found = (_depth(one, edges, depths, (*path, name)) for one in before)
        depths[name] = 1 + max(found, default=-1)
    return depths[name]


def _height(
    name: str, edges: Iterable[tuple[str, str]], places: Mapping[str, tuple[int, int]]
) -> float:
    """The mean height of what it comes of, so that arrows cross less."""
    rows = [places[one][1] for one, other in edges if other == name and one in places]
    return sum(rows) / len(rows) if rows else 0.0


PAGES: Mapping[str, Callable[[], str]] = {"reference/data-dictionary": dictionary_page}
