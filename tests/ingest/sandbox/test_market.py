"""Markets and their headlines: real or made up, each a function of its specification alone."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, date, datetime

import numpy as np
import pyarrow.compute as pc
import pytest

from sandbox.history import History
from sandbox.market import Market, MarketError, bokeh_market, synthetic_market
from sandbox.newswire import NewsSpec, headlines, phrases, session_tones, ticker_headlines


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


def agreement(market: Market, spec: NewsSpec) -> tuple[float, int]:
    """Share of toned, moved sessions whose tone agrees with the move, and their number."""
    hits: list[np.ndarray] = []
    for ticker in market.tickers:
        history = market.history(ticker)
        tones, move = session_tones(history, spec), history.close - history.open
        with_news = (tones != "neutral") & (move != 0)
        hits.append(((tones == "up") == (move > 0))[with_news])
    joined = np.concatenate(hits)
    return float(joined.mean()), len(joined)


@pytest.mark.parametrize(
    ("mode", "strength", "expected"),
    [("null", 1.0, 0.5), ("planted", 0.0, 0.5), ("planted", 0.6, 0.8), ("planted", 1.0, 1.0)],
)
def test_planted_strength_is_the_measured_agreement(
    market: Market, mode: str, strength: float, expected: float
) -> None:
    spec = NewsSpec.model_validate({"mode": mode, "strength": strength})
    share, count = agreement(market, spec)
    margin = 4 * math.sqrt(expected * (1 - expected) / count)
    assert count > 10_000
    assert abs(share - expected) <= margin


def test_null_news_does_not_see_the_prices(market: Market) -> None:
    history = market.history("IBM")
    mirrored = History(**{**vars(history), "open": history.close, "close": history.open})
    spec = NewsSpec(mode="null")
    assert ticker_headlines(history, spec) == ticker_headlines(mirrored, spec)
    planted = NewsSpec(mode="planted", strength=1)
    assert ticker_headlines(history, planted) != ticker_headlines(mirrored, planted)


def test_tone_lies_in_words_that_belong_to_one_side() -> None:
    """Shared templates and disjoint lists: nothing but the filling word gives the tone away."""
    lexicon = phrases()
    for slot in ("move", "adj", "noun"):
        up, down = (set(lexicon.slots[tone][slot]) for tone in ("up", "down"))
        assert not up & down
        assert min(len(up), len(down)) >= 50
        assert abs(len(up) - len(down)) <= 0.1 * len(up)
    up, down = lexicon.templates["up"], lexicon.templates["down"]
    assert len(up) == len(down)
    assert len(set(up) & set(down)) >= 0.7 * len(up)


def test_planted_title_uses_its_sessions_tone(market: Market) -> None:
    spec = NewsSpec(mode="planted", strength=1, neutral=0)
    rose = {}
    for ticker in market.tickers:
        history = market.history(ticker)
        moves = zip(history.sessions, history.close - history.open, strict=True)
        rose |= {f"{ticker}-{day}": move > 0 for day, move in moves if move != 0}
    words = {"dazzling": True, "triumph": True, "soars": True}
    words |= {"dismal": False, "fiasco": False, "plunges": False}
    seen = set()
    for row in headlines(market, spec).to_pylist():
        key = row["guid"].split("-", 2)[2].rsplit("-", 1)[0]
        for word in words.keys() & set(row["title"].lower().replace(",", "").split()):
            assert rose.get(key, words[word]) == words[word]
            seen.add(word)
    assert seen == set(words)


def test_headline_does_not_depend_on_the_range_around_it() -> None:
    spec = NewsSpec(seed=11, mode="null")
    long = synthetic_market(2, date(2009, 1, 1), date(2014, 12, 31))
    short = synthetic_market(2, date(2011, 1, 1), date(2011, 12, 31))
    of_long = {row["guid"]: row for row in headlines(long, spec).to_pylist()}
    rows = headlines(short, spec).to_pylist()
    first = str(short.history("SBAAA").sessions[0])
    assert len(rows) > 200
    for row in rows:
        if first not in row["guid"]:  # the first session of a market knows no gap before it
            assert of_long[row["guid"]] == row


def test_lookahead_news_is_out_three_hours_before_the_open(market: Market) -> None:
    for ticker in market.tickers:
        history = market.history(ticker)
        table = ticker_headlines(history, NewsSpec(seed=5))
        published = pc.divide(table["published_at"].cast("int64"), 1_000_000).to_numpy()
        following = np.searchsorted(history.opens_at, published, side="right")
        with_news = [f"{ticker}-{day}" for day in history.sessions[following].tolist()]
        for guid, key in zip(table["guid"].to_pylist(), with_news, strict=True):
            assert key in guid, "a headline must fall between the previous open and its own"
        assert (history.opens_at[following] - published >= 3 * 3600).all()
        previous = history.opens_at[np.maximum(following - 1, 0)] + 6.5 * 3600
        assert (published[following > 0] >= previous[following > 0]).all()


@pytest.mark.parametrize("coverage", [0.0, 0.3, 0.6, 1.0])
def test_coverage_is_the_share_of_sessions_with_news(market: Market, coverage: float) -> None:
    history = market.history("MSFT")
    table = ticker_headlines(history, NewsSpec(coverage=coverage))
    with_news = {guid.rsplit("-", 1)[0] for guid in table["guid"].to_pylist()}
    assert len(with_news) / len(history.sessions) == pytest.approx(coverage, abs=0.04)


def test_titles_are_short_varied_and_carry_no_label_words(market: Market) -> None:
    titles = headlines(market, NewsSpec())["title"].to_pylist()
    assert max(len(title.split()) for title in titles) <= 16
    assert len(set(titles)) > 0.6 * len(titles)
    assert all("{" not in title for title in titles)


def test_guids_are_unique_across_a_market(market: Market) -> None:
    guids = headlines(market, NewsSpec())["guid"]
    assert pc.count_distinct(guids).as_py() == len(guids)
