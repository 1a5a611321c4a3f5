"""Yahoo's v8 chart answer as columns: what the vendor said, beside the client's reading of it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

CHART_PATH = "/v8/finance/chart/"

ANSWERED = pa.schema(
    [
        ("session", pa.date32()),
        ("position", pa.int64()),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.float64()),
        ("vendor_adj_close", pa.float64()),
    ]
)
"""One row per bar of one answer, in the answer's order."""


class ChartError(ValueError):
    """A chart answer does not have the shape of one, or answers for something not asked."""


def read_chart(body: bytes, symbol: str, zone: str) -> pa.Table:
    """The bars of one chart answer (ANSWERED); a session is the local date of its stamp in `zone`.

    Raises ChartError when the body is no chart, or is one of another symbol or time zone.
    """
    try:
        result = json.loads(body)["chart"]["result"][0]
        meta = result["meta"]
        stamps = result["timestamp"]
        quote = result["indicators"]["quote"][0]
        adjusted = result["indicators"].get("adjclose") or [{}]
        columns = {name: quote[name] for name in ("open", "high", "low", "close", "volume")}
        columns["vendor_adj_close"] = adjusted[0].get("adjclose") or quote["close"]
    except (ValueError, LookupError, TypeError) as error:
        raise ChartError(
            f"The answer for {symbol} is not a chart with bars ({type(error).__name__}: {error})."
        ) from error
    _require_identity(meta, symbol, zone)
    try:
        return pa.table(
            {
                "session": _local_dates(stamps, zone),
                "position": pa.array(range(len(stamps)), pa.int64()),
                **{name: _numbers(values) for name, values in columns.items()},
            },
        ).select(ANSWERED.names)
    except (ValueError, TypeError) as error:
        raise ChartError(f"The bars of {symbol} are not columns of numbers: {error}.") from error


def _numbers(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # Now and then one number comes as text, such as "Infinity".
        return pa.array([None if value is None else float(value) for value in values])


def _local_dates(stamps: list[int], zone: str) -> pa.Array:
    instants = pa.array(stamps, pa.timestamp("s", tz=zone))
    return pc.local_timestamp(instants).cast(pa.timestamp("us")).cast(pa.date32())


def _require_identity(meta: dict[str, Any], symbol: str, zone: str) -> None:
    answered = str(meta.get("symbol", "")).upper()
    if answered != symbol.upper():
        raise ChartError(
            f"Asked for {symbol}, answered as {answered or 'nothing'}: the ticker was renamed or "
            f'reused. Declare what to ask for, e.g. symbols = {{ {symbol} = "{answered}" }}.'
        )
    if meta.get("exchangeTimezoneName") != zone:
        raise ChartError(
            f"{symbol} trades in {meta.get('exchangeTimezoneName')!r}, expected {zone!r}: it is "
            "not listed on the configured exchange."
        )
