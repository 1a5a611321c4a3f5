"""Yahoo's daily bars: the real yfinance client, and its answer as the vendor sent it.

The client is called so that it changes no number and hides no error; its reading is then compared
with the landed bytes.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.ingest.prices.vendor import ANSWER_ACTIONS, ANSWER_BARS, AnswerError, number

if TYPE_CHECKING:
    import pandas as pd

    from tasks.ingest.prices.yahoo_transport import Answer, YahooSession

_EVENING = 22

# yfinance keeps one client per process; two sessions must not take turns inside one request.
_ONE_AT_A_TIME = threading.Lock()


class ChartError(AnswerError):
    """A chart answer does not have the shape of one, or answers for another request."""


def read_chart(body: bytes, symbol: str, zone: str) -> pa.Table:
    """One chart answer as ANSWER_BARS; a session is the local date of its stamp in `zone`.

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
        ).select(ANSWER_BARS.names)
    except (ValueError, TypeError) as error:
        raise ChartError(f"The bars of {symbol} are not columns of numbers: {error}.") from error


def read_actions(body: bytes, symbol: str, zone: str) -> pa.Table:
    """The dividends and splits of one chart answer as ANSWER_ACTIONS, in the answer's order.

    Read from the answer itself: yfinance moves the action of a day without a bar to another day.
    What is no number is null. Raises ChartError when the body holds no events of that shape.
    """
    try:
        result = json.loads(body)["chart"]["result"][0]
        quoted_in = result["meta"].get("currency")
        events = result.get("events") or {}
        rows = [
            {"at": event["date"], "kind": kind, "value": value, "currency": event.get("currency")}
            for name, kind in (("dividends", "dividend"), ("splits", "split"))
            for event in (events.get(name) or {}).values()
            for value in [_dividend(event) if kind == "dividend" else _ratio(event)]
        ]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ChartError(
            f"The actions of {symbol} are not dividends and splits with dates "
            f"({type(error).__name__}: {error})."
        ) from error
    return pa.table(
        {
            "ex_date": _local_dates([row["at"] for row in rows], zone),
            "kind": pa.array([row["kind"] for row in rows], pa.string()),
            "value": pa.array([row["value"] for row in rows], pa.float64()),
            "foreign": pa.array(
                [row["currency"] not in (None, "", quoted_in) for row in rows], pa.bool_()
            ),
        },
        schema=ANSWER_ACTIONS,
    )


def _dividend(event: Mapping[str, Any]) -> float | None:
    return number(event.get("amount"))


def _ratio(event: Mapping[str, Any]) -> float | None:
    """New shares for an old one."""
    new, old = number(event.get("numerator")), number(event.get("denominator"))
    return new / old if new is not None and old else None


def _numbers(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # Now and then one number comes as text, such as "Infinity".
        return pa.array([None if value is None else float(value) for value in values])


def _local_dates(stamps: list[int], zone: str) -> pa.Array:
    """The day of each stamp on the clock of `zone`.

    A day's stamp is its midnight or its opening. Around the change to summer time Yahoo is an hour
    or two early, in the evening before.
    """
    local = pc.local_timestamp(pa.array(stamps, pa.timestamp("s", tz=zone)))
    early = pc.and_(
        pc.greater_equal(pc.hour(local), _EVENING),
        pc.and_(pc.equal(pc.minute(local), 0), pc.equal(pc.second(local), 0)),
    )
    days = local.cast(pa.timestamp("us")).cast(pa.date32())
    following = pc.add(days, pa.scalar(timedelta(days=1))).cast(pa.date32())
    return pc.if_else(early, following, days)


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
) -> pa.Table:
    """The client's bars of one chart request for the local dates first..last, inclusive.

    Columns: session, open, high, low, close, vendor_adj_close, volume; NaN spelled null. Raises
    whatever an answer makes of yfinance, pandas and curl_cffi: their errors have no common kind.

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
    return _bars(frame)


def _bars(frame: pd.DataFrame) -> pa.Table:
    columns = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]
    dates = pc.local_timestamp(pa.array(frame.index)).cast(pa.timestamp("us")).cast(pa.date32())
    return pa.table(
        [dates, *(pa.array(frame[name], from_pandas=True) for name in columns)],
        names=["session", "open", "high", "low", "close", "vendor_adj_close", "volume"],
    )
