"""Hazards of robustness checks: fitted on what evaluates them, unpaired, costs forgotten."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.calibration import fit_calibration
from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.notes import notes
from tasks.evaluation.robustness import calibrated, illustrated, trading_curve, variant
from tasks.evaluation.spec import EvaluationSpec, TradingSpec
from tasks.prediction.backtest import with_base_cutoff

SPEC = EvaluationSpec(resamples=200, trading=TradingSpec(cost=0.001))


def leaning(frame: pa.Table, seed: int, sharpness: float) -> np.ndarray:
    """P(up) that knows a little and exaggerates it by `sharpness`."""
    up = np.where(frame["label_up"].to_numpy(), 1.0, -1.0)
    noise = np.random.default_rng(seed).normal(0, 1, len(up))
    return 1 / (1 + np.exp(-sharpness * (0.4 * up + noise)))


def cells(rows: pa.Table) -> dict[str | tuple[str, str], dict[str, float]]:
    """Metric, or (metric, baseline), to row."""
    return {
        (row["metric"], row["baseline"]) if row["baseline"] else row["metric"]: row
        for row in rows.to_pylist()
        if row["slice"] == "all"
    }


def test_a_variant_has_the_numbers_an_evaluation_of_it_would_have(make_frame) -> None:
    frame = make_frame()
    plain, other = leaning(frame, 1, 4.0), leaning(frame, 2, 1.0)
    found = cells(variant(frame, "model", plain, other, "masked", SPEC))
    alone = cells(evaluate(frame, {"model": other}, SPEC).rows)
    raw = cells(evaluate(frame, {"model": plain}, SPEC).rows)
    for metric in ("accuracy", "cross_entropy", "brier", "ece"):
        assert found[f"{metric}_masked"]["value"] == alone[metric]["value"]
        assert found[f"{metric}_masked"]["ci_low"] == alone[metric]["ci_low"]
    change = found["accuracy_masked", "plain"]["value"]
    assert change == pytest.approx(alone["accuracy"]["value"] - raw["accuracy"]["value"])


def test_calibration_from_validation_mends_what_it_never_saw(make_frame) -> None:
    validation, test = make_frame(seed=1), make_frame(seed=2)
    fitted = fit_calibration(validation["label_up"].to_numpy(), leaning(validation, 3, 4.0))
    rows = calibrated(test, "model", leaning(test, 4, 4.0), fitted, SPEC)
    found = cells(rows)
    assert found["calibration_rows"]["value"] == validation.num_rows
    assert found["cross_entropy_calibrated", "plain"]["ci_high"] < 0
    assert found["ece_calibrated"]["value"] < 0.1


def test_the_illustration_is_the_end_of_the_curve(make_frame) -> None:
    frame = make_frame()
    moves = np.random.default_rng(5).normal(0, 0.01, frame.num_rows)
    frame = frame.append_column("label_return", pa.array(moves))
    p_up = leaning(frame, 6, 1.0)
    found = cells(illustrated(frame, "model", p_up, SPEC))
    curve = trading_curve(frame, p_up, SPEC.trading)
    assert found["illustration_net"]["value"] == curve["growth_net"][-1].as_py()
    assert found["illustration_net"]["value"] < found["illustration_gross"]["value"]
    assert found["illustration_net"]["ci_low"] is None, "no interval, no claim"


def test_notes_say_what_was_seen_and_nothing_else(make_frame) -> None:
    frame = with_base_cutoff(make_frame(), date(2030, 1, 1))
    p_up = leaning(frame, 1, 1.0)
    spec = SPEC.model_copy(update={"candidate": "model"})
    everyone = {"model": p_up, "majority": np.full(frame.num_rows, 0.51)}
    rows = evaluate(frame, everyone, spec).rows
    sentences = " ".join(notes(rows, "model", spec))
    assert "All 300 examples lie before the end of the base model's training data" in sentences
    assert "points to majority" in sentences
    assert "Of 5 tickers" in sentences
    assert "seen to arrive" in sentences
    assert not any(word in sentences for word in ("Calibrated", "masked", "Illustration"))
    forgotten = variant(frame, "model", p_up, np.full(frame.num_rows, 0.5), "masked", spec)
    sentences = " ".join(notes(pa.concat_tables([rows, forgotten]), "model", spec))
    assert "With entities masked" in sentences
    assert notes(rows, "nobody", spec) == ()


def test_a_calibration_that_turns_ranks_round_is_called_so(make_frame) -> None:
    frame = make_frame()
    wrong = 1 - leaning(frame, 1, 1.0)
    fitted = fit_calibration(frame["label_up"].to_numpy(), wrong)
    rows = evaluate(frame, {"model": wrong}, SPEC).rows
    checks = calibrated(frame, "model", wrong, fitted, SPEC)
    sentences = " ".join(notes(pa.concat_tables([rows, checks]), "model", SPEC))
    assert "slope is not positive" in sentences


def test_memory_of_names_is_noticed_and_its_absence_too(make_frame) -> None:
    frame = make_frame()
    label = frame["label_up"].to_numpy()
    rng = np.random.default_rng(2)
    plain = np.where(label == (rng.random(len(label)) < 0.7), 0.7, 0.3)
    for masked, finding in ((np.full(len(label), 0.5), "may be memory"), (plain, "no dependence")):
        rows = variant(frame, "model", plain, masked, "masked", SPEC)
        assert finding in " ".join(notes(rows, "model", SPEC))


def test_trading_curve_matches_a_case_worked_by_hand() -> None:
    days = [date(2024, 1, day) for day in (2, 2, 3, 4)]
    frame = pa.table({"session": days, "label_return": [0.02, -0.01, -0.03, 0.05]})
    curve = trading_curve(frame, [0.8, 0.2, 0.9, 0.55], TradingSpec(cost=0.001, band=0.1))
    assert curve["positions"].to_pylist() == [2, 1, 0]
    assert curve["gross"].to_pylist() == pytest.approx([0.015, -0.03, 0.0])
    assert curve["net"].to_pylist() == pytest.approx([0.013, -0.032, 0.0])
    assert curve["growth_net"].to_pylist()[-1] == pytest.approx(1.013 * 0.968)
    assert curve["growth_holding"].to_pylist()[-1] == pytest.approx(1.005 * 0.97 * 1.05)


def test_without_short_positions_only_rises_are_bought() -> None:
    frame = pa.table({"session": [date(2024, 1, 2)] * 2, "label_return": [0.02, -0.01]})
    curve = trading_curve(frame, [0.8, 0.2], TradingSpec(cost=0.0, short=False))
    assert curve["gross"].to_pylist() == pytest.approx([0.02])
