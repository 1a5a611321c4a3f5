"""Yahoo's daily bars: the real yfinance client, and its answer as the vendor sent it.

The client is called so that it changes no number and hides no error; its reading is then compared
with the landed bytes.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.http.retry import FetchError
from tasks.ingest.prices.validation import CANDIDATES
from warehouse.tables.schemas import without

if TYPE_CHECKING:
    import pandas as pd

    from tasks.ingest.prices.yahoo_transport import Answer, YahooSession

CHART_PATH = "/v8/finance/chart/"

CHART_BARS = without(CANDIDATES, "ticker", "basis_date", "payload_id", "agrees")
"""One row per bar of one answer, in the answer's order."""

# yfinance keeps one client per process; two sessions must not take turns inside one request.
_ONE_AT_A_TIME = threading.Lock()


class ChartError(ValueError):
    """A chart answer does not have the shape of one, or answers for another request."""


def read_chart(body: bytes, symbol: str, zone: str) -> pa.Table:
    """One chart answer as CHART_BARS; a session is the local date of its stamp in `zone`.

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
            }
        ).select(CHART_BARS.names)
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


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """What yfinance made of one answer.

    `bars`: session, open, high, low, close, vendor_adj_close, volume; NaN spelled null.
    `actions`: ex_date, dividend, split; 0 where there is none.
    """

    bars: pa.Table
    actions: pa.Table


def prepare(cache_folder: Path) -> None:
    """Make yfinance raise its errors and keep its caches in `cache_folder`.

    yfinance settles on the first folder a process names; later ones are ignored.
    """
    _prepare_once(str(cache_folder))


@cache
def _prepare_once(folder: str) -> None:
    import yfinance

    yfinance.config.debug.hide_exceptions = False
    yfinance.set_tz_cache_location(folder)


def ask(
    symbol: str,
    first: date,
    last: date,
    *,
    zone: str,
    timeout: float,
    session: YahooSession,
    record: Callable[[Answer], None],
) -> ClientAnswer:
    """One chart request for the local dates first..last, inclusive; raises `client_errors()`.

    `zone` is the time zone the symbol is taken to trade in; the caller checks the answer's.
    `record` is handed every HTTP answer before yfinance sees it. Safe to call from many threads.
    """
    import yfinance
    from pandas.errors import Pandas4Warning
    from yfinance.cache import get_tz_cache
    from yfinance.data import YfData

    with _ONE_AT_A_TIME, session.recording(record), warnings.catch_warnings():
        # yfinance's own calls of pandas; nothing a caller could change.
        warnings.simplefilter("ignore", Pandas4Warning)
        # A symbol whose zone is known costs one request, not two.
        get_tz_cache().store(symbol.upper(), zone)
        # yfinance remembers answers for past ranges, errors included: a retry must ask again.
        YfData.cache_get.cache_clear()
        frame = yfinance.Ticker(symbol, session=session).history(
            start=first,
            end=last + timedelta(days=1),
            interval="1d",
            auto_adjust=False,
            back_adjust=False,
            repair=False,
            rounding=False,
            keepna=True,
            actions=True,
            timeout=timeout,
        )
    return ClientAnswer(_bars(frame), _actions(frame))


@cache
def client_errors() -> tuple[type[Exception], ...]:
    """What a failed or unreadable answer raises; anything else is our own fault and goes up."""
    from curl_cffi.requests.exceptions import RequestException
    from yfinance.exceptions import YFException

    unreadable = (LookupError, TypeError, ValueError, AttributeError)
    return (YFException, RequestException, FetchError, *unreadable)


def _bars(frame: pd.DataFrame) -> pa.Table:
    columns = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]
    return pa.table(
        [_dates(frame), *(pa.array(frame[name], from_pandas=True) for name in columns)],
        names=["session", "open", "high", "low", "close", "vendor_adj_close", "volume"],
    )


def _actions(frame: pd.DataFrame) -> pa.Table:
    columns = [pa.array(frame[name], pa.float64()) for name in ("Dividends", "Stock Splits")]
    return pa.table([_dates(frame), *columns], names=["ex_date", "dividend", "split"])


def _dates(frame: pd.DataFrame) -> pa.Array:
    return pc.local_timestamp(pa.array(frame.index)).cast(pa.timestamp("us")).cast(pa.date32())
