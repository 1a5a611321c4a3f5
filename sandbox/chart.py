"""Yahoo's v8 chart answer, as JSON-ready dictionaries, for a history seen at some moment.

Doubles survive the trip: JSON carries the shortest text that reads back to the same value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from sandbox.history import EXCHANGE_ZONE, SESSION_SECONDS, History

_DAY = 86_400
_RANGES = {
    "1d": 1, "5d": 7, "1mo": 31, "3mo": 92, "6mo": 183, "1y": 366, "2y": 731, "5y": 1827,
    "10y": 3653, "ytd": 366, "max": 60_000,
}  # fmt: skip
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class Tape:
    """Bars and events as the wire carries them.

    `timestamp` and each of `columns` (open, high, low, close, volume, adj_close) are parallel lists
    with one entry per bar; a missing value is None. `events` is Yahoo's object of that name.
    """

    timestamp: list[int]
    columns: dict[str, list[Any]]
    events: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Quoting:
    """How bars are quoted.

    `partial_sessions`: quote a session under way as far as it has come, as Yahoo does.
    `split_adjusted`: restate the past after each split, as Yahoo does; off, every bar stays as it
    was quoted on its own session.
    """

    partial_sessions: bool = True
    split_adjusted: bool = False


class ChartRequestError(ValueError):
    """The query string is not one Yahoo's chart understands."""


def requested_window(query: Mapping[str, str], now: int) -> tuple[int, int]:
    """[start, end) in Unix seconds requested by period1/period2 or range. Raises ChartRequestError.

    `range=1d` means the latest bar whatever its age, as Yahoo answers it; see `seen_tape`.
    """
    if query.get("interval", "1d") != "1d":
        raise ChartRequestError(f"interval {query['interval']!r} is not served; only 1d is")
    if "period1" in query:
        try:
            return int(float(query["period1"])), int(float(query.get("period2", now)))
        except ValueError as error:
            raise ChartRequestError("period1 and period2 must be Unix seconds") from error
    span = query.get("range", "1mo")
    if span not in _RANGES:
        raise ChartRequestError(f"range {span!r} is unknown; valid: {', '.join(_RANGES)}")
    return now - _RANGES[span] * _DAY, now + 1


def seen_tape(history: History, start: int, end: int, now: int, quoting: Quoting) -> Tape:
    """What of [start, end) exists at `now` (all Unix seconds).

    A session still under way is left out, or, when `quoting.partial_sessions`, quoted as far as it
    has come and stamped `now`, the way Yahoo stamps it.
    """
    opened = int(np.searchsorted(history.opens_at, now, side="right"))
    unfinished = opened > 0 and now < history.opens_at[opened - 1] + SESSION_SECONDS
    last = opened - 1 if unfinished else opened
    first, stop = (int(i) for i in np.searchsorted(history.opens_at, (start, end)))
    rows = slice(first, min(stop, last))
    columns = {name: getattr(history, name)[rows] for name in (*_PRICES, "volume")}
    columns["adj_close"] = _adjusted_as_of(history, rows, last)
    events = _events(history, start, end, now)
    if quoting.split_adjusted:
        columns = _restated(columns, history, rows, now)
    values = {name: column.tolist() for name, column in columns.items()}
    timestamp = history.opens_at[rows].tolist()
    if quoting.partial_sessions and unfinished and first <= last < stop:
        for name, value in _partial_bar(history, last, now).items():
            values[name].append(value)
        timestamp.append(now)
    return Tape(timestamp, values, events)


def _restated(
    columns: dict[str, np.ndarray], history: History, rows: slice, now: int
) -> dict[str, np.ndarray]:
    """Prices and volumes on the share basis of `now`, as Yahoo restates them after a split."""
    shares = np.ones(len(history.sessions))
    for split in history.actions:
        row = int(np.searchsorted(history.sessions, np.datetime64(split.ex_date)))
        if split.kind == "split" and history.opens_at[row] <= now:
            shares[:row] *= split.value
    restated = {name: columns[name] / shares[rows] for name in _PRICES}
    volume = np.round(columns["volume"] * shares[rows]).astype(np.int64)
    return {**restated, "volume": volume, "adj_close": columns["adj_close"]}


def _adjusted_as_of(history: History, rows: slice, last: int) -> np.ndarray:
    """Adjusted closes without what is still ahead: actions after the last seen bar do not count."""
    adjusted = history.adj_close[rows]
    last_seen = history.sessions[last - 1].item() if last else None
    if last_seen is None or all(action.ex_date <= last_seen for action in history.actions):
        return adjusted
    return np.asarray(adjusted * (history.close[last - 1] / history.adj_close[last - 1]))


def _partial_bar(history: History, row: int, now: int) -> dict[str, Any]:
    """The bar of a session under way, on a straight line from open to close."""
    share = (now - history.opens_at[row]) / SESSION_SECONDS
    open_, high, low, close = (getattr(history, name)[row].item() for name in _PRICES)
    price = round(open_ + (close - open_) * share, 2)
    return {
        "open": open_,
        "high": max(open_, price, round(open_ + (high - open_) * share, 2)),
        "low": min(open_, price, round(open_ + (low - open_) * share, 2)),
        "close": price,
        "adj_close": price,
        "volume": int(history.volume[row] * share),
    }


def _events(history: History, start: int, end: int, now: int) -> dict[str, dict[str, Any]]:
    """Yahoo's `events` object: actions whose ex-date opens in [start, end) and by `now`."""
    events: dict[str, dict[str, Any]] = {"dividends": {}, "splits": {}}
    for action in history.actions:
        row = int(np.searchsorted(history.sessions, np.datetime64(action.ex_date)))
        at = int(history.opens_at[row])
        if not start <= at < end or at > now:
            continue
        if action.kind == "dividend":
            events["dividends"][str(at)] = {"amount": action.value, "date": at}
        else:
            new, old = action.value.as_integer_ratio()
            split = {"date": at, "numerator": new, "denominator": old, "splitRatio": f"{new}:{old}"}
            events["splits"][str(at)] = split
    return {kind: found for kind, found in events.items() if found}


def chart_body(history: History, tape: Tape, now: int) -> dict[str, Any]:
    """The whole answer for one symbol. Without bars it has `meta` and empty indicators alone."""
    result: dict[str, Any] = {"meta": _meta(history, tape, now)}
    if tape.events:
        result["events"] = tape.events
    quote, adjusted = dict(tape.columns), {}
    if tape.timestamp:
        result["timestamp"] = tape.timestamp
        adjusted = {"adjclose": quote.pop("adj_close")}
    else:
        quote = {}
    result["indicators"] = {"quote": [quote], "adjclose": [adjusted]}
    return {"chart": {"result": [result], "error": None}}


def error_body(code: str, description: str) -> dict[str, Any]:
    """Yahoo's way to say no."""
    return {"chart": {"result": None, "error": {"code": code, "description": description}}}


def _meta(history: History, tape: Tape, now: int) -> dict[str, Any]:
    local = datetime.fromtimestamp(now, UTC).astimezone(EXCHANGE_ZONE)
    offset = local.utcoffset()
    zone = {"timezone": local.tzname(), "gmtoffset": int(offset.total_seconds()) if offset else 0}
    opened = max(int(np.searchsorted(history.opens_at, now, side="right")) - 1, 0)
    opens = int(history.opens_at[opened])
    closes = opens + SESSION_SECONDS
    price = tape.columns["close"][-1] if tape.timestamp else history.close[opened].item()
    periods = {
        "pre": (opens - 19_800, opens),
        "regular": (opens, closes),
        "post": (closes, closes + 14_400),
    }
    return {
        "currency": "USD",
        "symbol": history.listing.ticker,
        "exchangeName": "NYQ",
        "fullExchangeName": "NYSE",
        "instrumentType": "EQUITY",
        "firstTradeDate": int(history.opens_at[0]),
        "regularMarketTime": min(now, closes),
        "hasPrePostMarketData": True,
        **zone,
        "exchangeTimezoneName": EXCHANGE_ZONE.key,
        "regularMarketPrice": price,
        "longName": f"{history.listing.name} (Newsvane sandbox)",
        "shortName": history.listing.name,
        "chartPreviousClose": price,
        "priceHint": 2,
        "currentTradingPeriod": {
            name: {**zone, "start": start, "end": end} for name, (start, end) in periods.items()
        },
        "dataGranularity": "1d",
        "range": "",
        "validRanges": list(_RANGES),
    }
