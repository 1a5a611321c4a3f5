"""Tiingo's end-of-day bars: JSON as traded, with adjusted values, dividends and splits beside them.

Written from public documentation and never run against the service: see docs/reference/prices.md.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from urllib.parse import quote, urlencode

import pyarrow as pa

from tasks.ingest.prices.dialect import Dialect
from tasks.ingest.prices.vendor import (
    ANSWER_ACTIONS,
    AnswerError,
    answer_bars,
    day,
    number,
)


def _symbol(ticker: str) -> str:
    """BRK-B for BRK.B."""
    return ticker.replace(".", "-")


def _address(symbol: str, first: date, last: date, today: date) -> str:
    days = urlencode({"startDate": first.isoformat(), "endDate": last.isoformat()})
    return f"https://api.tiingo.com/tiingo/daily/{quote(symbol, safe='')}/prices?{days}"


def _parse(body: bytes) -> tuple[pa.Table, pa.Table]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"Tiingo's answer is no JSON: {error}.") from error
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        words = given.get("detail") if isinstance(given, dict) else None
        raise AnswerError(
            f"Tiingo's answer is no list of bars: {str(words or type(given).__name__)[:200]}."
        )
    bars = [{**row, "session": row.get("date"), "vendor_adj_close": row.get("adjClose")}
            for row in given]  # fmt: skip
    events = [event for row in given for event in _events(row)]
    return answer_bars(bars), pa.Table.from_pylist(events, schema=ANSWER_ACTIONS)


def _events(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A day without an action has a dividend of 0 and a split factor of 1."""
    told = {"dividend": (row.get("divCash"), 0.0), "split": (row.get("splitFactor"), 1.0)}
    return [
        {"ex_date": day(row.get("date")), "kind": kind, "value": number(value), "foreign": False}
        for kind, (value, nothing) in told.items()
        if value is not None and number(value) != nothing
    ]


TIINGO = Dialect(
    basis="session",
    tells_actions=True,
    symbol=_symbol,
    address=_address,
    parse=_parse,
    key_header=("Authorization", "Token {key}"),
)
