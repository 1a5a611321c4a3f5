"""The real yfinance client, asked so that it changes no number and hides no error."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.http.retry import AllowanceError

if TYPE_CHECKING:
    import pandas as pd

    from tasks.ingest.prices.yahoo_transport import Answer, YahooSession

# yfinance keeps one client per process; two sessions must not take turns inside one request.
_ONE_AT_A_TIME = threading.Lock()


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

    from tasks.ingest.prices.yahoo_transport import YahooTransportError

    unreadable = (LookupError, TypeError, ValueError, AttributeError)
    return (YFException, RequestException, YahooTransportError, AllowanceError, *unreadable)


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
