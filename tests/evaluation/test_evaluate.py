"""Hazards of a verdict: skill seen in noise, missed in signal, claimed over a weak opponent,
or taken from the luckiest of many tickers."""

from __future__ import annotations

from math import nan

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.baselines import fit_baselines
from tasks.evaluation.evaluate import Evaluation, evaluate
from tasks.evaluation.slices import benjamini_hochberg, holm
from tasks.evaluation.spec import EvaluationError, EvaluationSpec
from tests.builders.frames import MakeFrame

SPEC = EvaluationSpec(resamples=500)


def _baselines(make_frame: MakeFrame, frame: pa.Table, **options: float) -> dict[str, np.ndarray]:
    train = make_frame(seed=99, **options).drop(["input"])
    return fit_baselines(train).predict(frame)


def _tone(frame: pa.Table, strength: float, seed: int) -> np.ndarray:
    """P(up) that points the right way with probability (1 + strength) / 2."""
    rng = np.random.default_rng(seed)
    label = frame["label_up"].to_numpy()
    right = rng.random(len(label)) < (1 + strength) / 2
    return np.where(label == right, 0.7, 0.3)


def _value(
    evaluation: Evaluation, name: str, predictor: str, metric: str, baseline: str | None = None
) -> dict[str, float]:
    wanted = {"slice": name, "predictor": predictor, "metric": metric, "baseline": baseline}
    rows = [row for row in evaluation.rows.to_pylist() if wanted.items() <= row.items()]
    assert len(rows) == 1
    return rows[0]


def test_null_market_shows_no_skill(make_frame) -> None:
    """At 95% a coin may beat every baseline by luck; it must do so rarely."""
    claims = 0
    for seed in range(20):
        frame = make_frame(sessions=100, seed=seed)
        predictions = _baselines(make_frame, frame) | {"model": _tone(frame, 0.0, seed + 1000)}
        spec = EvaluationSpec(resamples=200, by_ticker=False)
        claims += evaluate(frame, predictions, spec).verdict.skill
    assert claims <= 1


def test_planted_signal_beats_every_baseline(make_frame) -> None:
    frame = make_frame(sessions=100)
    predictions = _baselines(make_frame, frame) | {"model": _tone(frame, 0.5, 7)}
    verdict = evaluate(frame, predictions, EvaluationSpec(resamples=500, synthetic=True)).verdict
    assert verdict.predictor == "model"
    assert verdict.skill
    assert verdict.better_than == dict.fromkeys(verdict.better_than, True)
    assert "better than every baseline" in verdict.words
    assert verdict.alarms == ()


def test_beating_some_baselines_is_not_skill(make_frame) -> None:
    frame = make_frame(up_share=0.8)
    always_up = np.full(frame.num_rows, 0.8)
    predictions = _baselines(make_frame, frame, up_share=0.8) | {"model": always_up}
    predictions["zero_shot"] = 1 - always_up
    verdict = evaluate(frame, predictions, SPEC).verdict
    assert verdict.better_than["zero_shot"]
    assert not verdict.skill
    assert "no skill shown" in verdict.words
    assert any(alarm.startswith("collapse") for alarm in verdict.alarms)


def test_reference_model_is_an_opponent_but_no_condition_of_skill(make_frame) -> None:
    frame = make_frame(sessions=100)
    tone = _tone(frame, 0.5, 7)
    predictions = _baselines(make_frame, frame) | {"tfidf_logistic": tone, "model": tone}
    first, second = evaluate(frame, predictions, SPEC).verdicts
    assert first.skill
    assert not first.better_than["tfidf_logistic"]
    assert "reference model tfidf_logistic" in first.words
    assert second.predictor == "tfidf_logistic"
    assert "tfidf_logistic" not in second.better_than


def test_leak_is_suspected_on_real_data_only(make_frame) -> None:
    frame = make_frame(sessions=100)
    predictions = _baselines(make_frame, frame) | {"model": _tone(frame, 0.6, 7)}
    real = evaluate(frame, predictions, SPEC).verdict
    assert any(alarm.startswith("leak suspected") for alarm in real.alarms)
    declared = SPEC.model_copy(update={"synthetic": True})
    assert evaluate(frame, predictions, declared).verdict.alarms == ()


def test_slices_hold_their_own_rows_and_only_those(make_frame) -> None:
    frame = make_frame()
    predictions = {"majority": np.full(frame.num_rows, 0.5), "model": _tone(frame, 0.2, 1)}
    found = evaluate(frame, predictions, SPEC)
    names = set(found.rows["slice"].to_pylist()) - {"period=2024Q1"}
    assert names == {"all", "observed", "asserted", *(f"ticker=T{k}" for k in range(5))}
    rows = np.flatnonzero(np.array(frame["ticker"].to_pylist()) == "T3")
    alone = evaluate(frame.take(rows), {k: v[rows] for k, v in predictions.items()}, SPEC)
    for key in (("accuracy", None), ("auroc", None), ("accuracy", "majority")):
        inside = _value(found, "ticker=T3", "model", *key)
        expected = _value(alone, "all", "model", *key)
        assert inside["value"] == pytest.approx(expected["value"])
        assert (inside["n_examples"], inside["n_sessions"]) == (len(rows), 60)


def test_row_order_changes_nothing(make_frame) -> None:
    frame = make_frame()
    predictions = {"majority": np.full(frame.num_rows, 0.5), "model": _tone(frame, 0.2, 1)}
    shuffled = np.random.default_rng(3).permutation(frame.num_rows)
    again = evaluate(frame.take(shuffled), {k: v[shuffled] for k, v in predictions.items()}, SPEC)
    first = evaluate(frame, predictions, SPEC).rows
    for column in ("value", "ci_low", "ci_high"):
        one, two = first[column].to_numpy(), again.rows[column].to_numpy()
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


def test_one_session_gives_no_interval(make_frame) -> None:
    frame = make_frame(sessions=1, tickers=8)
    found = evaluate(frame, {"model": np.full(8, 0.6)}, SPEC)
    row = _value(found, "all", "model", "accuracy")
    assert (row["ci_low"], row["ci_high"]) == (None, None)
    assert not found.verdict.skill


@pytest.mark.parametrize(
    ("values", "message"),
    [([0.5, nan], "nan at row 1"), ([0.5, 1.2], "1.2 at row 1"), ([0.5], r"shape \(1,\)")],
)
def test_bad_probabilities_are_refused(make_frame, values: list[float], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate(make_frame(sessions=1, tickers=2), {"model": values}, SPEC)


def test_unlabelled_rows_are_refused(make_frame) -> None:
    frame = make_frame(sessions=1, tickers=2)
    place = frame.column_names.index("label_up")
    frame = frame.set_column(place, "label_up", pa.array([True, None]))
    with pytest.raises(EvaluationError, match="Null values in label_up"):
        evaluate(frame, {"model": [0.5, 0.5]}, SPEC)


def test_absent_candidate_is_refused(make_frame) -> None:
    spec = EvaluationSpec(candidate="finetuned")
    with pytest.raises(EvaluationError, match="'finetuned' made no predictions"):
        evaluate(make_frame(sessions=1, tickers=2), {"model": [0.5, 0.5]}, spec)


def test_adjusted_p_values_match_cases_worked_by_hand() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_many_tickers_of_noise_yield_no_adjusted_claim(make_frame) -> None:
    """Forty coins against a coin: some p-value is small, none is after the correction."""
    frame = make_frame(sessions=80, tickers=40)
    rng = np.random.default_rng(1)
    predictions = {"model": rng.random(3200), "majority": np.full(3200, 0.5)}
    rows = evaluate(frame, predictions, EvaluationSpec(resamples=100)).rows.to_pylist()

    def smallest(metric: str) -> float:
        pairs = [row for row in rows if (row["metric"], row["baseline"]) == (metric, "majority")]
        values = [row["value"] for row in pairs if row["slice"].startswith("ticker=")]
        assert len(values) == 40
        return min(values)

    assert smallest("mcnemar_p") < 0.05
    assert smallest("mcnemar_p_holm") > 0.05
    assert smallest("mcnemar_p_bh") > 0.05
