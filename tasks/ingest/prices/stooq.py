"""Stooq's daily bars: CSV with Date, Open, High, Low, Close, Volume, restated for splits.

Written from public descriptions and never run against the service: see docs/reference/prices.md.
"""

from __future__ import annotations

import csv
import io
from datetime import date
from urllib.parse import urlencode

import pyarrow as pa

from tasks.ingest.prices.dialect import Dialect
from tasks.ingest.prices.vendor import (
    ANSWER_ACTIONS,
    AnswerError,
    VendorLimitError,
    answer_bars,
)

_HEADER = ["Date", "Open", "High", "Low", "Close"]
_SHOWN = 80


def _symbol(ticker: str) -> str:
    """A share of the United States: aapl.us, and brk-b.us for BRK.B."""
    return f"{ticker.lower().replace('.', '-')}.us"


def _address(symbol: str, first: date, last: date, today: date) -> str:
    days = {"d1": f"{first:%Y%m%d}", "d2": f"{last:%Y%m%d}"}
    return f"https://stooq.com/q/d/l/?{urlencode({'s': symbol, **days, 'i': 'd'})}"


def _parse(body: bytes) -> tuple[pa.Table, pa.Table]:
    text = body.decode("utf-8-sig", "replace").strip()
    first_line = text.partition("\n")[0].strip()
    if "limit" in first_line.lower() and "," not in first_line:
        raise VendorLimitError(f"Stooq says: {first_line[:_SHOWN]}. Ask it again tomorrow.")
    if not text or first_line.lower().startswith("no data"):
        return answer_bars([]), ANSWER_ACTIONS.empty_table()
    if first_line.startswith("<"):
        raise AnswerError(
            "Stooq sent a web page in place of CSV, as it does to clients that it takes for no "
            "browser or that have no key."
        )
    lines = csv.DictReader(io.StringIO(text))
    header = [name.strip() for name in lines.fieldnames or ()]
    if header[: len(_HEADER)] != _HEADER:
        raise AnswerError(
            f"Stooq's answer begins with {first_line[:_SHOWN]!r}; expected a table with the "
            f"columns {', '.join(_HEADER)}, Volume."
        )
    rows = [
        {"session": row["Date"], **{name.lower(): row.get(name) for name in (*header[1:],)}}
        for row in lines
    ]
    return answer_bars(rows), ANSWER_ACTIONS.empty_table()


STOOQ = Dialect(
    basis="fetch",
    tells_actions=False,
    symbol=_symbol,
    address=_address,
    parse=_parse,
    key_parameter="apikey",
)
