"""Headlines: what is planted is there, what is null is null, and nothing depends on the asking."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pyarrow.compute as pc
import pytest

from sandbox.history import History
from sandbox.market import Market, synthetic_market
from sandbox.newswire import NewsSpec, headlines, phrases, session_tones, ticker_headlines


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
