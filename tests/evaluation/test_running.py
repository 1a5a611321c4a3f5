"""Hazards of a growing record: bands that know later days, or promise more than they keep."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.running import running_record
from tasks.evaluation.spec import EvaluationSpec

MakeFrame = Callable[..., pa.Table]
SPEC = EvaluationSpec(resamples=400)


def test_last_row_equals_the_evaluation_of_everything(make_frame: MakeFrame) -> None:
    frame = make_frame(sessions=40)
    p_up = np.random.default_rng(0).random(frame.num_rows)
    last = running_record(frame, p_up, SPEC).to_pylist()[-1]
    rows = evaluate(frame, {"model": p_up}, SPEC).rows.to_pylist()
    whole = {row["metric"]: row for row in rows if row["slice"] == "all"}
    for metric in ("accuracy", "cross_entropy"):
        assert last[metric] == pytest.approx(whole[metric]["value"])
        width = whole[metric]["ci_high"] - whole[metric]["ci_low"]
        assert last[f"{metric}_high"] - last[f"{metric}_low"] == pytest.approx(width, rel=0.25)
    assert last["n_examples"] == frame.num_rows


def test_lookahead_later_sessions_change_no_earlier_band(make_frame: MakeFrame) -> None:
    frame = make_frame(sessions=40)
    p_up = np.random.default_rng(0).random(frame.num_rows)
    early = running_record(frame.slice(0, 100), p_up[:100], SPEC)
    assert running_record(frame, p_up, SPEC).slice(0, 20).equals(early)


def test_window_forgets_what_lies_before_it(make_frame: MakeFrame) -> None:
    frame = make_frame(sessions=30)
    p_up = np.random.default_rng(0).random(frame.num_rows)
    rolling = running_record(frame, p_up, SPEC, window=10).to_pylist()[-1]
    alone = running_record(frame.slice(100), p_up[100:], SPEC).to_pylist()[-1]
    assert rolling["n_examples"] == 50
    for metric in ("accuracy", "cross_entropy"):
        assert rolling[metric] == pytest.approx(alone[metric])


def test_first_sessions_have_no_band(make_frame: MakeFrame) -> None:
    frame = make_frame(sessions=6)
    record = running_record(frame, np.linspace(0, 1, 30), SPEC)
    assert [low is None for low in record["accuracy_low"].to_pylist()] == [True] * 4 + [False] * 2
    assert record["accuracy"].null_count == 0


def test_band_covers_as_promised() -> None:
    """Half the sessions are easy, half are hard: at session 40, nine in ten bands hold 55%."""
    rng = np.random.default_rng(3)
    days = [date(2024, 1, 1) + timedelta(days=k // 4) for k in range(160)]
    spec = EvaluationSpec(resamples=200, level=0.9)
    covered = 0
    for _ in range(200):
        easy = np.repeat(rng.choice([-0.2, 0.2], 40), 4)
        right = rng.random(160) < 0.55 + easy
        frame = pa.table({"session": days, "label_up": right})
        last = running_record(frame, np.full(160, 1.0), spec).to_pylist()[-1]
        covered += last["accuracy_low"] <= 0.55 <= last["accuracy_high"]
    assert covered / 200 == pytest.approx(0.9, abs=0.07)
