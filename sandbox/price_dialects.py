"""Daily bars as vendors besides Yahoo put them on the wire: Stooq, Tiingo, Alpha Vantage.

Formats are those of public descriptions. Each vendor says in its own way that it has nothing, that
a limit is reached and that a key is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sandbox.chart import Quoting, Tape, seen_tape
from sandbox.history import EXCHANGE_ZONE, History, exchange_midnight
from sandbox.messages import ALPHA_VANTAGE_PATH, STOOQ_PATH, TIINGO_PATH, Answer, Request

_COMPACT = 100


@dataclass(frozen=True)
class Wire:
    """How one vendor answers: its share basis, the window asked for in Unix seconds, its words.

    `body` is handed the dates and columns of the tape and, by date, dividends and split ratios.
    """

    split_adjusted: bool
    window: Callable[[Request, int], tuple[int, int]]
    body: Callable[[str, list[date], Tape, Mapping[date, Mapping[str, float]]], bytes]
    content: str
    unknown: Callable[[str], Answer]
    limit: Callable[[str], Answer]
    keyed: Callable[[Request], str | None]
    refusal: Answer | None = None


def wire_of(request: Request) -> Wire | None:
    """The vendor a request is meant for, by its path; None for Yahoo's charts and anything else."""
    return next((wire for path, wire in _WIRES.items() if request.path.startswith(path)), None)


def quoted(
    wire: Wire, history: History, request: Request, now: int, quoting: Quoting, *, as_traded: bool
) -> Tape:
    """What of the window exists at `now`; `as_traded`: without the splits it would apply."""
    start, end = wire.window(request, now)
    adjusted = wire.split_adjusted and not as_traded
    basis = Quoting(partial_sessions=quoting.partial_sessions, split_adjusted=adjusted)
    return seen_tape(history, start, end, now, basis)


def price_answer(wire: Wire, symbol: str, tape: Tape) -> Answer:
    """The whole answer with the bars of a tape."""
    days = [_local_day(at) for at in tape.timestamp]
    if not days and wire.content != "application/json":
        return wire.unknown(symbol)
    told: dict[date, dict[str, float]] = {}
    for event in tape.events.get("dividends", {}).values():
        told.setdefault(_local_day(event["date"]), {})["dividend"] = event["amount"]
    for event in tape.events.get("splits", {}).values():
        ratio = event["numerator"] / event["denominator"]
        told.setdefault(_local_day(event["date"]), {})["split"] = ratio
    return Answer(200, {"Content-Type": wire.content}, wire.body(symbol, days, tape, told))


def _local_day(at: int) -> date:
    return datetime.fromtimestamp(at, UTC).astimezone(EXCHANGE_ZONE).date()


def _days(first: str, last: str) -> tuple[int, int]:
    """[midnight of the first, midnight after the last), New York."""
    after = date.fromisoformat(last) + timedelta(days=1)
    return exchange_midnight(date.fromisoformat(first)), exchange_midnight(after)


def _rows(days: list[date], tape: Tape) -> list[tuple[date, dict[str, Any]]]:
    return [
        (day, {name: column[at] for name, column in tape.columns.items()})
        for at, day in enumerate(days)
    ]


def _stooq_body(
    symbol: str, days: list[date], tape: Tape, told: Mapping[date, Mapping[str, float]]
) -> bytes:
    names = ("open", "high", "low", "close", "volume")
    lines = ["Date,Open,High,Low,Close,Volume"]
    for day, row in _rows(days, tape):
        lines.append(",".join([day.isoformat(), *(_plain(row[name]) for name in names)]))
    return ("\r\n".join(lines) + "\r\n").encode()


def _plain(value: Any) -> str:
    return "" if value is None else f"{value}"


def _tiingo_body(
    symbol: str, days: list[date], tape: Tape, told: Mapping[date, Mapping[str, float]]
) -> bytes:
    rows = [
        {
            "date": f"{datetime.combine(day, time()).isoformat()}.000Z",
            **{name: row[name] for name in ("close", "high", "low", "open", "volume")},
            "adjClose": row["adj_close"],
            "divCash": told.get(day, {}).get("dividend", 0.0),
            "splitFactor": told.get(day, {}).get("split", 1.0),
        }
        for day, row in _rows(days, tape)
    ]
    return json.dumps(rows).encode()


def _alpha_vantage_body(
    symbol: str, days: list[date], tape: Tape, told: Mapping[date, Mapping[str, float]]
) -> bytes:
    series = {
        day.isoformat(): {
            f"{at}. {name}": _plain(row[name])
            for at, name in enumerate(("open", "high", "low", "close", "volume"), 1)
        }
        for day, row in reversed(_rows(days, tape))
    }
    about = {"1. Information": "Daily Prices", "2. Symbol": symbol, "5. Time Zone": "US/Eastern"}
    return json.dumps({"Meta Data": about, "Time Series (Daily)": series}).encode()


def _alpha_vantage_window(request: Request, now: int) -> tuple[int, int]:
    """The vendor knows no range: about the last 100 bars, or all."""
    full = request.query.get("outputsize") == "full"
    return 0 if full else now - _COMPACT * 86_400 * 7 // 5, now + 1


def _said(status: int, words: Any, kind: str = "application/json") -> Answer:
    body = words if isinstance(words, str) else json.dumps(words)
    return Answer(status, {"Content-Type": kind}, body.encode())


_WIRES: Mapping[str, Wire] = {
    STOOQ_PATH: Wire(
        split_adjusted=True,
        window=lambda request, now: _days(request.query["d1"], request.query["d2"]),
        body=_stooq_body,
        content="text/csv",
        unknown=lambda symbol: _said(200, "No data", "text/html"),
        limit=lambda key: _said(200, "Exceeded the daily hits limit", "text/html"),
        keyed=lambda request: request.query.get("apikey", "none"),
    ),
    TIINGO_PATH: Wire(
        split_adjusted=False,
        window=lambda request, now: _days(request.query["startDate"], request.query["endDate"]),
        body=_tiingo_body,
        content="application/json",
        unknown=lambda symbol: _said(404, {"detail": f"Error: Ticker '{symbol}' not found"}),
        limit=lambda key: _said(
            429, {"detail": "Error: You have run over your hourly request allocation."}
        ),
        keyed=lambda request: request.headers.get("authorization", "").partition("Token ")[2],
        refusal=_said(403, {"detail": "Please supply a token"}),
    ),
    ALPHA_VANTAGE_PATH: Wire(
        split_adjusted=False,
        window=_alpha_vantage_window,
        body=_alpha_vantage_body,
        content="application/json",
        unknown=lambda symbol: _said(200, {"Error Message": "Invalid API call."}),
        limit=lambda key: _said(
            200,
            {"Information": f"We have detected your API key as {key} and our standard API rate "
             "limit is 25 requests per day."},
        ),
        keyed=lambda request: request.query.get("apikey"),
        refusal=_said(200, {"Error Message": "the parameter apikey is invalid or missing."}),
    ),
}  # fmt: skip
