"""Alpha Vantage's TIME_SERIES_DAILY: JSON as traded, the numbers as text, the newest bar first.

Written from public documentation and never run against the service: see docs/reference/prices.md.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from urllib.parse import urlencode

import pyarrow as pa

from tasks.ingest.prices.dialect import Dialect
from tasks.ingest.prices.vendor import (
    ANSWER_ACTIONS,
    AnswerError,
    VendorLimitError,
    answer_bars,
)

_SERIES = "Time Series (Daily)"
_COLUMNS = {
    "open": "1. open", "high": "2. high", "low": "3. low", "close": "4. close",
    "volume": "5. volume",
}  # fmt: skip
_COMPACT = timedelta(days=130)
"""The short answer has 100 bars: 140 days and more, unless the exchange rests unusually long."""


def _symbol(ticker: str) -> str:
    """BRK-B for BRK.B."""
    return ticker.replace(".", "-")


def _address(symbol: str, first: date, last: date, today: date) -> str:
    """The vendor knows no range: it gives the last 100 bars, or all."""
    size = "compact" if first >= today - _COMPACT else "full"
    query = {"function": "TIME_SERIES_DAILY", "symbol": symbol, "outputsize": size}
    return f"https://www.alphavantage.co/query?{urlencode(query)}"


def _parse(body: bytes) -> tuple[pa.Table, pa.Table]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"Alpha Vantage's answer is no JSON: {error}.") from error
    if not isinstance(given, dict):
        raise AnswerError(f"Alpha Vantage's answer is a {type(given).__name__}, not an object.")
    for name in ("Note", "Information"):
        if name in given:
            raise VendorLimitError(f"Alpha Vantage says: {str(given[name])[:200]}")
    series = given.get(_SERIES)
    if not isinstance(series, dict):
        words = given.get("Error Message") or f"the names {', '.join(sorted(given)) or 'none'}"
        raise AnswerError(f"Alpha Vantage's answer has no {_SERIES!r} but {str(words)[:200]}.")
    rows = [
        {
            "session": session,
            **{ours: cells.get(theirs) for ours, theirs in _COLUMNS.items()},
        }
        for session, cells in sorted(series.items())
        if isinstance(cells, dict)
    ]
    return answer_bars(rows), ANSWER_ACTIONS.empty_table()


ALPHA_VANTAGE = Dialect(
    basis="session",
    tells_actions=False,
    symbol=_symbol,
    address=_address,
    parse=_parse,
    key_parameter="apikey",
)
