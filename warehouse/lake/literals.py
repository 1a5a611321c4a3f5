"""Values as SQL literals: how a statement gets its `$name` parameters.

DuckDB's Python client imports pandas before it binds the first parameter (0.35 CPU seconds and
35 MB with duckdb 1.5.5), which would be half of what a short command takes. A literal binds to the
same type and value as the parameter would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import duckdb

from warehouse.lake.connection import quoted
from warehouse.lake.spec import LakeError


def filled(text: str, params: Mapping[str, Any]) -> str:
    """The SQL `text` with a literal in place of each `$name`; KeyError for one not in `params`.

    DuckDB's own tokenizer finds them, so that a `$` in a string, a quoted name or a comment is
    left alone.
    """
    return "".join(
        literal(params[piece]) if number % 2 else piece
        for number, piece in enumerate(_pieces(text))
    )


def literal(value: object) -> str:
    """An SQL literal of the type and value that DuckDB binds `value` as.

    Lists and tuples are lists, mappings structs, timedelta is INTERVAL, an aware datetime
    TIMESTAMPTZ. Raises
    LakeError for a type that no statement takes.
    """
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(name)}: {literal(one)}' for name, one in value.items())}}}"
    for kind, written in _WRITTEN.items():
        if isinstance(value, kind):
            return written(value)
    raise LakeError(
        f"{value!r} cannot be the parameter of an SQL statement; expected a text, number, truth "
        "value, date, datetime, timedelta, None, or a list or mapping of these."
    )


def _text(value: str) -> str:
    parts = [f"'{quoted(part)}'" for part in value.split("\0")]
    # The parser ends a statement at a NUL, so that one is put in as a call.
    return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        return f"TIMESTAMP '{value.isoformat()}'"
    return f"TIMESTAMPTZ '{value.astimezone(UTC).isoformat()}'"


def _duration(value: timedelta) -> str:
    micros = value.seconds * 1_000_000 + value.microseconds
    return f"INTERVAL '{value.days} days {micros} microseconds'"


# A subclass stands before what it derives from: bool is an int, a datetime a date.
_WRITTEN: dict[type, Callable[[Any], str]] = {
    str: _text,
    bool: lambda value: str(value).upper(),
    # In parentheses, because `-1 ** 2` and `1::VARCHAR` bind tighter than a sign.
    int: lambda value: f"({value})" if value < 0 else str(value),
    # Through a text: a bare 0.1 is a DECIMAL.
    float: lambda value: f"'{value!r}'::DOUBLE",
    datetime: _moment,
    date: lambda value: f"DATE '{value.isoformat()}'",
    timedelta: _duration,
}


@cache
def _pieces(text: str) -> tuple[str, ...]:
    """The text cut at its placeholders: text, name, text, name, …, text."""
    # Positions count bytes.
    body = text.encode()
    tokens = duckdb.tokenize(text)
    pieces, done = [], 0
    for (start, _), (following, _) in pairwise(tokens):
        if body[start : start + 1] != b"$" or following != start + 1:
            continue
        end = following
        while end < len(body) and (chr(body[end]).isalnum() or body[end] == ord("_")):
            end += 1
        pieces += [body[done:start].decode(), body[following:end].decode()]
        done = end
    return (*pieces, body[done:].decode())
