"""Faults of bars: what a price vendor gets wrong inside an answer that looks right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sandbox.chart import Tape
from sandbox.faults import Fault
from sandbox.history import EXCHANGE_ZONE

_OHLC = ("open", "high", "low", "close")


def bar_fault(tape: Tape, fault: Fault) -> Tape:
    """`tape` with a bar fault done to it; unchanged for any other fault or without bars."""
    commit = _BAR_FAULTS.get(fault.kind)
    return commit(tape, fault) if commit and tape.timestamp else tape


def _row(tape: Tape, fault: Fault) -> int:
    """The bar the fault names by `session`, else the last one."""
    if fault.session is None:
        return len(tape.timestamp) - 1
    days = [
        datetime.fromtimestamp(at, UTC).astimezone(EXCHANGE_ZONE).date() for at in tape.timestamp
    ]
    return days.index(fault.session) if fault.session in days else len(days) - 1


def _changed(tape: Tape, row: int, values: Mapping[str, Any]) -> Tape:
    """`tape` with the cells of one row replaced."""
    columns = {name: list(column) for name, column in tape.columns.items()}
    for name, value in values.items():
        columns[name][row] = value
    return replace(tape, columns=columns)


def _partial(tape: Tape, fault: Fault) -> Tape:
    """Every third bar is missing."""
    kept = [row for row in range(len(tape.timestamp)) if row % 3 != 1]
    columns = {name: [column[row] for row in kept] for name, column in tape.columns.items()}
    return replace(tape, timestamp=[tape.timestamp[row] for row in kept], columns=columns)


def _nan(tape: Tape, fault: Fault) -> Tape:
    return _changed(tape, _row(tape, fault), dict.fromkeys(tape.columns))


def _repeated(tape: Tape, fault: Fault) -> Tape:
    """The last bar a second time, an hour later, with a little more volume."""
    columns = {name: [*column, column[-1]] for name, column in tape.columns.items()}
    columns["volume"][-1] = (columns["volume"][-1] or 0) + 100
    return replace(tape, timestamp=[*tape.timestamp, tape.timestamp[-1] + 3600], columns=columns)


def _jump(tape: Tape, fault: Fault) -> Tape:
    """One bar a hundred times too dear: the pence-for-pounds mistake."""
    row, factor = _row(tape, fault), fault.value or 100.0
    return _changed(tape, row, {name: tape.columns[name][row] * factor for name in _OHLC})


def _unapplied_split(tape: Tape, fault: Fault) -> Tape:
    """From `session` (default: the middle bar) prices fall by the ratio; no split is reported."""
    ratio = fault.value or 2.0
    row = len(tape.timestamp) // 2 if fault.session is None else _row(tape, fault)
    columns = dict(tape.columns)
    for name in (*_OHLC, "adj_close"):
        column = columns[name]
        columns[name] = column[:row] + [None if v is None else v / ratio for v in column[row:]]
    events = {kind: found for kind, found in tape.events.items() if kind != "splits"}
    return replace(tape, columns=columns, events=events)


def _priced(price: Any) -> Callable[[Tape, Fault], Tape]:
    def commit(tape: Tape, fault: Fault) -> Tape:
        return _changed(tape, _row(tape, fault), {"open": price, "low": price, "close": price})

    return commit


def _high_below_low(tape: Tape, fault: Fault) -> Tape:
    row = _row(tape, fault)
    low, high = tape.columns["low"][row], tape.columns["high"][row]
    return _changed(tape, row, {"high": low, "low": high})


def _other_unit(tape: Tape, fault: Fault) -> Tape:
    """Every bar a hundred times too dear: a series in pence."""
    factor = fault.value or 100.0
    columns = dict(tape.columns)
    for name in (*_OHLC, "adj_close"):
        columns[name] = [None if cell is None else cell * factor for cell in columns[name]]
    return replace(tape, columns=columns)


def _last_digit(tape: Tape, fault: Fault) -> Tape:
    """The close a cent off, within the range of its day."""
    row = _row(tape, fault)
    close = tape.columns["close"][row]
    cent = -0.01 if close - 0.01 >= tape.columns["low"][row] else 0.01
    return _changed(tape, row, {"close": round(close + cent, 4)})


def _stale(tape: Tape, fault: Fault) -> Tape:
    """The prices of the day before under the day's own volume."""
    row = _row(tape, fault)
    return _changed(tape, row, {name: tape.columns[name][row - 1] for name in _OHLC})


def _missing(tape: Tape, fault: Fault) -> Tape:
    row = _row(tape, fault)
    columns = {name: [*cells[:row], *cells[row + 1 :]] for name, cells in tape.columns.items()}
    stamps = [*tape.timestamp[:row], *tape.timestamp[row + 1 :]]
    return replace(tape, timestamp=stamps, columns=columns)


_BAR_FAULTS: Mapping[str, Callable[[Tape, Fault], Tape]] = {
    "partial_frame": _partial,
    "nan_last_row": _nan,
    "repeated_last_row": _repeated,
    "jump_100x": _jump,
    "unapplied_split": _unapplied_split,
    "zero_price": _priced(0.0),
    "negative_price": _priced(-1.0),
    "infinite_price": _priced("Infinity"),  # as text: JSON has no infinity, and Yahoo sends this
    "high_below_low": _high_below_low,
    "other_unit": _other_unit,
    "last_digit": _last_digit,
    "stale_bar": _stale,
    "missing_bar": _missing,
}
