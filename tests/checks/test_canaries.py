"""A canary that cannot die guards nothing: each is broken here on purpose, and must say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sandbox.market import synthetic_market
from sandbox.newswire import NewsSpec, ticker_headlines
from tasks.checks.canaries import (
    Bench,
    Market,
    Survivorship,
    base_unchanged,
    future_headline,
    planted_and_shifted,
    selftest,
    with_shifted_inputs,
    with_shuffled_labels,
)
from tasks.evaluation.spec import EvaluationError, EvaluationSpec
from tasks.prediction.predictors import FinetunedTextModel, tfidf_text_model
from tasks.training.recipe import load_recipe

SPEC = EvaluationSpec(resamples=300)
MARKET = synthetic_market(6, date(2020, 1, 1), date(2022, 12, 31), seed=3)
CUT = date(2022, 1, 1)


def _ticker_examples(ticker: str, spec: NewsSpec) -> pa.Table:
    """One row per session with news: the newswire's titles for it and how the session went."""
    history = MARKET.history(ticker)
    news = ticker_headlines(history, spec)
    published = news["published_at"].to_numpy().astype("datetime64[s]").astype(np.int64)
    row = np.searchsorted(history.opens_at, published, side="right")
    titles = np.array(news["title"].to_pylist(), dtype=object)
    rows, starts = np.unique(row, return_index=True)
    joined = [" / ".join(part) for part in np.split(titles, starts[1:])]
    keep = (rows > 0) & (rows < len(history.sessions))
    rows = rows[keep]
    before = history.close[rows - 1] / history.open[rows - 1] - 1
    return pa.table(
        {
            "example_id": [f"{ticker}-{day}" for day in history.sessions[rows]],
            "ticker": [ticker] * len(rows),
            "session": pa.array(history.sessions[rows].astype("datetime64[D]")),
            "label_start_ts": _moments(history.opens_at[rows]),
            "label_end_ts": _moments(history.opens_at[rows] + 6 * 3600),
            "label_up": history.close[rows] > history.open[rows],
            "previous_return": before,
            "availability": ["observed"] * len(rows),
            "input": [text for text, kept in zip(joined, keep, strict=True) if kept],
        }
    )


def _moments(seconds: np.ndarray) -> pa.Array:
    return pa.array(seconds * 1_000_000, pa.timestamp("us", tz="UTC"))


def examples(market: Market) -> tuple[pa.Table, pa.Table]:
    """Training and test examples of the whole market, cut by date."""
    spec = NewsSpec(mode=market, strength=0.8, coverage=0.7)
    table = pa.concat_tables([_ticker_examples(ticker, spec) for ticker in MARKET.tickers])
    early = np.array([day < CUT for day in table["session"].to_pylist()])
    return table.filter(pa.array(early)), table.filter(pa.array(~early))


def plant_future(marker: str) -> tuple[Sequence[str], Sequence[str]]:
    """The headline reaches the next session's input only."""
    _, test = examples("planted")
    texts = test["input"].to_pylist()
    return texts[:1], [f"{texts[1]} / {marker}"]


BENCH = Bench(
    examples=examples,
    learn=tfidf_text_model,
    base_scores=lambda: (np.linspace(0, 1, 9), np.linspace(0, 1, 9)),
    plant_future=plant_future,
    plant_column=plant_future,
    survivors=lambda: Survivorship(honest=True, filtered=False, up=0.47, survivors_up=0.5),
)


def _failed(bench: Bench) -> set[str]:
    return {canary.name for canary in selftest(bench, SPEC).canaries if not canary.passed}


def test_sound_pipeline_passes_every_canary() -> None:
    names: list[str] = []
    report = selftest(BENCH, SPEC, names.append)
    assert report.passed, report.markdown()
    assert [canary.name for canary in report.canaries] == [
        "null market",
        "planted market",
        "time shift",
        "shuffled labels",
        "future headline",
        "future column",
        "survivors",
        "base scores",
    ]
    assert len(names) == 7
    assert "# Self-test: passed" in report.markdown()


def test_outcome_leaking_into_the_text_kills_the_null_market() -> None:
    def leaky(market: Market) -> tuple[pa.Table, pa.Table]:
        return tuple(map(_with_outcome, examples(market))) if market == "null" else examples(market)

    assert _failed(replace(BENCH, examples=leaky)) == {"null market"}


def test_deaf_model_kills_the_planted_market_only() -> None:
    def deaf(train: pa.Table, tests: Sequence[pa.Table]) -> list[Any]:
        return [np.full(test.num_rows, 0.5) for test in tests]

    assert _failed(replace(BENCH, learn=deaf)) == {"planted market"}


def test_model_that_knows_the_outcome_kills_every_placebo() -> None:
    """Right whatever it reads: labels of the test rows reached it beside the text."""

    def omniscient(train: pa.Table, tests: Sequence[pa.Table]) -> list[Any]:
        return [np.where(test["label_up"].to_numpy(), 0.7, 0.3) for test in tests]

    failed = _failed(replace(BENCH, learn=omniscient))
    assert failed == {"null market", "time shift", "shuffled labels"}


def test_model_that_looks_labels_up_by_date_kills_the_time_shift() -> None:
    """A memory of what each stock did on each day, used only when news foretells anything."""

    def remembering(train: pa.Table, tests: Sequence[pa.Table]) -> list[Any]:
        found = tfidf_text_model(train, tests)
        if len(tests) == 2:
            found[1] = np.where(tests[1]["label_up"].to_numpy(), 0.7, 0.3)
        return found

    assert _failed(replace(BENCH, learn=remembering)) == {"time shift"}


def test_model_that_trains_on_the_test_split_kills_the_shuffle() -> None:
    _, planted_test = examples("planted")

    def cheating(train: pa.Table, tests: Sequence[pa.Table]) -> list[Any]:
        return tfidf_text_model(pa.concat_tables([train, *[planted_test] * 5]), tests)

    assert "shuffled labels" in _failed(replace(BENCH, learn=cheating))


def test_headline_planted_too_early_kills_the_future_headline() -> None:
    def early(marker: str) -> tuple[Sequence[str], Sequence[str]]:
        return [f"rally / {marker}"], [marker]

    assert _failed(replace(BENCH, plant_future=early)) == {"future headline"}
    assert _failed(replace(BENCH, plant_column=early)) == {"future column"}


@pytest.mark.parametrize(("honest", "filtered"), [(False, False), (True, True), (False, True)])
def test_audit_that_blames_all_or_nothing_kills_the_survivors(honest: bool, filtered: bool) -> None:
    seen = Survivorship(honest, filtered, up=0.47, survivors_up=0.5)
    assert _failed(replace(BENCH, survivors=lambda: seen)) == {"survivors"}


@pytest.mark.parametrize("after", [["rally"], []])
def test_headline_that_never_arrives_proves_nothing(after: list[str]) -> None:
    assert not future_headline(lambda marker: (["rally"], after)).passed


@pytest.mark.parametrize("after", [[0.1, 0.2001], [0.1], [0.1, float("nan")], []])
def test_changed_base_scores_are_noticed(after: list[float]) -> None:
    assert base_unchanged(lambda: ([0.1, 0.2], [0.1, 0.2])).passed
    assert not base_unchanged(lambda: ([0.1, 0.2], after)).passed


def test_shuffle_keeps_the_share_and_breaks_the_link() -> None:
    train, _ = examples("planted")
    dealt = with_shuffled_labels(train, 0)
    first, second = train["label_up"].to_numpy(), dealt["label_up"].to_numpy()
    assert first.sum() == second.sum()
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    assert dealt.drop_columns(["label_up"]) == train.drop_columns(["label_up"])


def test_time_shift_moves_texts_within_their_ticker() -> None:
    days = [date(2024, 1, 1) + timedelta(days=k) for k in range(3)]
    test = pa.table(
        {
            "ticker": ["B", "A", "A", "B", "A", "B"],
            "session": [days[0], days[0], days[2], days[1], days[1], days[2]],
            "input": ["b0", "a0", "a2", "b1", "a1", "b2"],
        }
    )
    assert with_shifted_inputs(test, 1)["input"].to_pylist() == ["b2", "a2", "a1", "b0", "a0", "b1"]
    with pytest.raises(EvaluationError, match="A time shift of 3 needs more"):
        with_shifted_inputs(test, 3)


@pytest.mark.slow
def test_a_real_language_model_reads_the_news_and_nothing_else(tmp_path) -> None:
    """Fine-tuned in its own process: skill on words with a tone, none once they are shifted.

    Two words, because a random model of this size cannot learn the newswire's vocabulary.
    """
    train, test = (_plain(table, 0.9) for table in examples("planted"))
    learn = FinetunedTextModel(load_recipe("sandbox-tiny"), tmp_path, tmp_path / "cache")
    found = planted_and_shifted(train, test.slice(0, 300), learn, SPEC)
    assert [canary.name for canary in found if canary.passed] == ["planted market", "time shift"]
    unchanged = base_unchanged(learn.base_scores)
    assert unchanged.passed, unchanged.words


def _plain(table: pa.Table, right: float) -> pa.Table:
    """The same examples with a one-word text that has the outcome's tone `right` of the time."""
    agrees = np.random.default_rng(0).random(table.num_rows) < right
    words = np.where(table["label_up"].to_numpy() == agrees, "rally", "slump")
    texts = [f"Shares {word}. Direction:" for word in words]
    return table.set_column(table.column_names.index("input"), "input", pa.array(texts))


def _with_outcome(table: pa.Table) -> pa.Table:
    words = np.where(table["label_up"].to_numpy(), "rally", "slump")
    texts = [f"{text} {word}" for text, word in zip(table["input"].to_pylist(), words, strict=True)]
    return table.set_column(table.column_names.index("input"), "input", pa.array(texts))
