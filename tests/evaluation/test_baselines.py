"""Hazards of baselines: reading the test split, drifting between runs, being a straw man."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.baselines import BaselineSpec, fit_baselines
from tasks.evaluation.spec import EvaluationError


def _with(frame: pa.Table, **columns: object) -> pa.Table:
    for name, values in columns.items():
        frame = frame.set_column(frame.column_names.index(name), name, pa.array(values))
    return frame


def test_majority_is_the_smoothed_training_share(make_frame) -> None:
    train = _with(make_frame(sessions=2, tickers=5), label_up=[True] * 8 + [False] * 2)
    p_up = fit_baselines(train, BaselineSpec(prior=10)).predict(train)["majority"]
    assert p_up == pytest.approx(np.full(10, (8 + 5) / 20))


def test_previous_direction_learns_a_reversal(make_frame) -> None:
    train = make_frame()
    returns = np.where(train["label_up"].to_numpy(), -0.01, 0.01)
    found = fit_baselines(_with(train, previous_return=returns)).predict(
        _with(train, previous_return=returns)
    )
    assert np.array_equal(found["previous_direction"] >= 0.5, train["label_up"].to_numpy())
    assert not np.array_equal(found["momentum"] >= 0.5, train["label_up"].to_numpy())


def test_unknown_previous_return_falls_back_to_the_share(make_frame) -> None:
    train = make_frame(up_share=0.7)
    test = _with(train, previous_return=[None] * train.num_rows)
    test = _with(test, previous_return=test["previous_return"].cast(pa.float64()))
    found = fit_baselines(train).predict(test)
    assert found["previous_direction"] == pytest.approx(found["majority"])
    assert found["momentum"] == pytest.approx(np.full(train.num_rows, 0.5))


def test_lookahead_momentum_ignores_later_rows(make_frame) -> None:
    train, test = make_frame(seed=1), make_frame(sessions=20, seed=2)
    fitted = fit_baselines(train)
    whole = fitted.predict(test)["momentum"]
    assert np.array_equal(whole[:50], fitted.predict(test.slice(0, 50))["momentum"])


def test_momentum_window_sums_one_ticker_only(make_frame) -> None:
    test = make_frame(sessions=3, tickers=2)
    test = _with(test, previous_return=[0.03, -0.03, -0.01, 0.01, -0.01, 0.01])
    train = make_frame(seed=5)
    three = fit_baselines(train, BaselineSpec(momentum_window=3)).predict(test)["momentum"]
    two = fit_baselines(train, BaselineSpec(momentum_window=2)).predict(test)["momentum"]
    assert list(three > 0.5) == [True, False] * 3
    assert list(two > 0.5) == [True, False, True, False, False, True]


def test_reference_model_finds_a_signal_in_text_and_repeats_itself(make_frame) -> None:
    train, test = make_frame(seed=1), make_frame(seed=2)
    first = fit_baselines(train).predict(test)["tfidf_logistic"]
    assert np.array_equal(first >= 0.5, test["label_up"].to_numpy())
    assert np.array_equal(first, fit_baselines(train).predict(test)["tfidf_logistic"])


@pytest.mark.parametrize("text", ["", "a"])
def test_reference_model_survives_text_without_terms(make_frame, text: str) -> None:
    train = make_frame(sessions=4)
    train = _with(train, input=[text] * train.num_rows)
    found = fit_baselines(train).predict(train)
    assert np.array_equal(found["tfidf_logistic"], found["majority"])


def test_empty_training_split_is_refused(make_frame) -> None:
    with pytest.raises(EvaluationError, match="got 0 rows"):
        fit_baselines(make_frame().slice(0, 0))
