"""Markets: the real bars, and made-up ones that behave like shares."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

import numpy as np
import pyarrow.compute as pc
import pytest

from sandbox.market import MarketError, bokeh_market, synthetic_market


def test_bokeh_bars_are_the_files_rows() -> None:
    from bokeh_sampledata import stocks

    market = bokeh_market()
    assert market.bars.num_rows == 12_154
    for ticker in market.tickers:
        source, history = getattr(stocks, ticker), market.history(ticker)
        assert [str(day) for day in history.sessions] == source["date"]
        for column in ("open", "high", "low", "close", "adj_close", "volume"):
            assert getattr(history, column).tolist() == source[column]


def test_session_opens_follow_daylight_saving() -> None:
    history = bokeh_market().history("IBM")
    opens = dict(zip(history.sessions.tolist(), history.opens_at.tolist(), strict=True))
    winter, summer = opens[date(2012, 3, 9)], opens[date(2012, 3, 12)]
    assert datetime.fromtimestamp(winter, UTC) == datetime(2012, 3, 9, 14, 30, tzinfo=UTC)
    assert datetime.fromtimestamp(summer, UTC) == datetime(2012, 3, 12, 13, 30, tzinfo=UTC)


def test_derived_dividends_are_the_payers_alone() -> None:
    kinds = Counter((row["ticker"], row["kind"]) for row in bokeh_market().actions.to_pylist())
    assert kinds == {
        ("IBM", "dividend"): 52,
        ("MSFT", "dividend"): 37,
        ("AAPL", "dividend"): 3,
        ("AAPL", "split"): 2,
        ("MSFT", "split"): 1,
    }


def test_actions_explain_the_adjusted_close() -> None:
    """Undoing splits and dividends takes the raw close to the vendor's adjusted close."""
    synthetic = synthetic_market(6, date(2008, 1, 1), date(2016, 12, 31))
    for market, tolerance in ((bokeh_market(), 0.02), (synthetic, 1e-9)):
        for ticker in market.tickers:
            history = market.history(ticker)
            factor = np.ones(len(history.close))
            for act in history.actions:
                row = int(np.searchsorted(history.sessions, np.datetime64(act.ex_date)))
                kept = 1 / act.value
                if act.kind == "dividend":
                    kept = 1 - act.value / history.close[row - 1]
                factor[:row] *= kept
            adjusted = history.adj_close / (history.adj_close[-1] / history.close[-1])
            assert np.allclose(history.close * factor, adjusted, rtol=tolerance)


def test_synthetic_bars_enclose_open_and_close() -> None:
    market = synthetic_market(30, date(2012, 1, 1), date(2014, 12, 31))
    assert len(set(market.tickers)) == 30
    for ticker in market.tickers:
        history = market.history(ticker)
        assert (history.low <= np.minimum(history.open, history.close)).all()
        assert (history.high >= np.maximum(history.open, history.close)).all()
        assert (history.low > 0).all()
        assert (history.volume > 0).all()


def test_synthetic_market_is_a_function_of_its_seed() -> None:
    start, end = date(2012, 1, 1), date(2012, 12, 31)
    assert synthetic_market(2, start, end, 1).bars == synthetic_market(2, start, end, 1).bars
    assert synthetic_market(2, start, end, 1).bars != synthetic_market(2, start, end, 2).bars


def test_rerun_with_a_later_end_appends_bars_and_changes_none() -> None:
    start = date(2012, 1, 3)
    short = synthetic_market(3, start, date(2012, 12, 31)).bars
    long = synthetic_market(3, start, date(2013, 6, 28)).bars
    assert long.filter(pc.less_equal(long["session"], date(2012, 12, 31))) == short


def test_synthetic_sessions_keep_the_exchange_holidays() -> None:
    sessions = synthetic_market(1, date(2012, 10, 1), date(2012, 12, 31)).history("SBAAA").sessions
    days = sessions.tolist()
    assert date(2012, 10, 29) not in days
    assert date(2012, 12, 25) not in days
    assert date(2012, 12, 24) in days


def test_unknown_ticker_error_names_what_is_listed() -> None:
    with pytest.raises(MarketError, match=r"does not list 'XOM'.*AAPL"):
        bokeh_market().history("XOM")
