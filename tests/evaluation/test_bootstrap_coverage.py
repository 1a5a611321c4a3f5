"""Intervals must cover at their level, also when sessions move together or labels overlap."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import t

from tasks.evaluation.evaluate import evaluate
from tasks.evaluation.intervals import (
    block_draws,
    block_length,
    label_window,
    percentile_interval,
    reach,
)
from tasks.evaluation.metrics import auroc, from_sums, session_sums
from tasks.evaluation.slices import compare, detectable_edge, mcnemar, rows_needed
from tasks.evaluation.spec import EvaluationError, EvaluationSpec

WORLDS = 400


def _world(rng: np.random.Generator, sessions: int, tickers: int) -> tuple[np.ndarray, ...]:
    """Calls right with probability 0.55 on average, but a session is easy or hard as a whole."""
    easy = rng.choice([-0.2, 0.2], size=sessions)
    right = rng.random((sessions, tickers)) < (0.55 + easy)[:, None]
    return right.ravel(), np.repeat(np.arange(sessions), tickers)


def _covers(level: float, sessions: int, *, clustered: bool) -> float:
    rng = np.random.default_rng(42)
    tickers, hits = 8, 0
    draws = block_draws(sessions if clustered else sessions * tickers, 1, 300, 0, "all")
    for _ in range(WORLDS):
        right, session = _world(rng, sessions, tickers)
        groups = session if clustered else np.arange(len(right))
        count = draws.shape[1]
        ups = np.bincount(groups, right, count)
        rows = np.bincount(groups, minlength=count)
        replicates = draws @ ups / (draws @ rows)
        found = percentile_interval(float(right.mean()), replicates, reach(count, 1, 1, level))
        hits += found.low <= 0.55 <= found.high
    return hits / WORLDS


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("sessions", [12, 60])
def test_clustered_interval_covers_as_promised(level: float, sessions: int) -> None:
    """Four standard errors of the simulation on either side."""
    slack = 4 * np.sqrt(level * (1 - level) / WORLDS)
    assert abs(_covers(level, sessions, clustered=True) - level) < slack + 0.01


def test_ignoring_sessions_would_promise_too_much() -> None:
    """The same worlds, rows drawn one by one: the interval is far too narrow."""
    assert _covers(0.95, 60, clustered=False) < 0.88


SPEC = EvaluationSpec(resamples=200)


def _calls(rng: np.random.Generator, sessions: int, flips: float) -> np.ndarray:
    """P(up) of five tickers, all turned round with the probability `flips` a session."""
    turns = np.cumsum(rng.random(sessions) < flips) + rng.integers(2)
    return np.repeat(np.where(turns % 2 == 0, 0.7, 0.3), 5)


def _lead_covered(make_frame, sessions: int, horizon: int, worlds: int = 150) -> float:
    """How often the interval of the lead of slow calls over a coin's holds the truth, nought.

    Labels over `horizon` sessions, of five tickers that move together.
    """
    frame, hits = make_frame(sessions=sessions, horizon=horizon), []
    column = frame.column_names.index("label_up")
    for seed in range(worlds):
        rng = np.random.default_rng([sessions, horizon, seed])
        steps = sessions + horizon - 1
        moves = rng.normal(size=(steps, 1)) + rng.normal(size=(steps, 5))
        path = np.vstack([np.zeros(5), np.cumsum(moves, axis=0)])
        up = (path[horizon:] > path[:-horizon]).ravel()
        world = frame.set_column(column, "label_up", pa.array(up))
        slow, coin = _calls(rng, sessions, 0.02), _calls(rng, sessions, 0.5)
        found = compare(world, slow, coin, SPEC, named="coin").accuracy
        hits.append(found.low <= 0.0 <= found.high)
    return float(np.mean(hits))


@pytest.mark.parametrize(("sessions", "horizon"), [(20, 1), (20, 5), (60, 5), (60, 20), (120, 20)])
def test_interval_covers_where_label_windows_overlap(make_frame, sessions, horizon) -> None:
    """Sessions drawn one by one hold the truth in 70% of such worlds at horizon 5, 40% at 20."""
    assert _lead_covered(make_frame, sessions, horizon) > 0.9


def test_interval_covers_where_days_are_serially_correlated() -> None:
    """Hits of an AR(1) with coefficient 0.3; drawn one by one, 0.87 to 0.90 of them hold it."""
    rng, hits = np.random.default_rng(5), 0
    for _ in range(WORLDS):
        shocks = rng.normal(size=120)
        series = shocks[:1]
        for shock in shocks[1:]:
            series = np.append(series, 0.3 * series[-1] + shock)
        block = block_length(series[:, None], 1)
        replicates = block_draws(120, block, 200, 0, "all") @ series / 120
        found = percentile_interval(series.mean(), replicates, reach(120, 1, block, 0.95))
        hits += found.low <= 0.0 <= found.high
    assert hits / WORLDS > 0.915


def test_blocks_of_one_session_reach_as_far_as_the_t_interval() -> None:
    """Hesterberg's sqrt(n / (n - 1)) t(n - 1) is a special case, not an approximation."""
    expected = np.sqrt(12 / 11) * t.ppf(0.975, 11)
    assert reach(12, 1, 1, 0.95) == pytest.approx(expected, rel=1e-9)


def test_too_few_label_windows_give_no_interval_and_no_claim(make_frame) -> None:
    frame = make_frame(sessions=40, horizon=20)
    up = frame["label_up"].to_numpy()
    predictions = {"model": np.where(up, 0.9, 0.1), "majority": np.where(up, 0.4, 0.6)}
    verdict = evaluate(frame, predictions, SPEC).verdict
    assert not verdict.skill
    assert "No intervals: 40 sessions hold fewer than 3 label windows of 20" in verdict.words
    longer = evaluate(make_frame(sessions=60, horizon=20), _repeated(predictions), SPEC).verdict
    assert "blocks of 20 sessions; a label covers 20" in longer.words


def _repeated(predictions: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.resize(p_up, 300) for name, p_up in predictions.items()}


def test_label_window_counts_the_sessions_it_reaches_into(make_frame) -> None:
    assert [label_window(make_frame(sessions=9, horizon=h)) for h in (1, 3)] == [1, 3]
    with pytest.raises(EvaluationError, match=r"lack label_end_ts \(absent, or null in some\)"):
        label_window(make_frame(sessions=9).drop_columns(["label_end_ts"]))


def test_block_length_follows_the_data() -> None:
    """Noise gets the floor, a slow wave the longest block allowed."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(120, 1))
    wave = np.sin(np.arange(120) / 12)[:, None] + 0.1 * noise
    assert block_length(noise, 1) == 5
    assert block_length(noise, 30) == 30
    assert block_length(wave, 1) > 15


def test_interval_covers_a_known_auroc() -> None:
    """Two unit normals half a deviation apart have AUROC Phi(0.5 / sqrt 2) = 0.6382."""
    rng = np.random.default_rng(7)
    session = np.repeat(np.arange(50), 4)
    weights = np.vstack([np.ones(50), block_draws(50, 1, 200, 0, "all")])
    hits = 0
    for _ in range(150):
        label = rng.random(200) < 0.5
        score = rng.normal(0.5 * label, 1.0)
        p_up = 1 / (1 + np.exp(-score))
        values = auroc(label, p_up, session, weights)
        found = percentile_interval(values[0], values[1:], reach(50, 1, 1, 0.9))
        hits += found.low <= 0.6382 <= found.high
    assert 0.9 - 0.1 < hits / 150 < 0.9 + 0.08


def test_a_rare_metric_is_undefined_not_zero() -> None:
    draws = np.full(100, np.nan)
    draws[:40] = 0.5
    found = percentile_interval(0.5, draws, 2.0)
    assert np.isnan([found.low, found.high]).all()


def test_draws_repeat_for_a_seed_and_differ_between_slices() -> None:
    first = block_draws(30, 4, 50, 3, "all")
    assert np.array_equal(first, block_draws(30, 4, 50, 3, "all"))
    assert not np.array_equal(first, block_draws(30, 4, 50, 3, "observed"))
    assert (first.sum(axis=1) == 30).all()


def test_standard_error_of_draws_matches_the_binomial() -> None:
    """One row a session: the bootstrap must rediscover sqrt(p q / n)."""
    label = np.arange(400) < 220
    sums = session_sums(
        np.ones(400, bool), label.astype(float), np.arange(400), 400, bins=10, clip=1e-6
    )
    draws = from_sums(block_draws(400, 1, 4000, 0, "all") @ sums)["accuracy"]
    assert draws.std() == pytest.approx(np.sqrt(0.55 * 0.45 / 400), rel=0.05)


def test_mcnemar_matches_a_case_worked_by_hand() -> None:
    """Nine wins to one: 2 * (C(10,0) + C(10,1)) / 2^10."""
    correct = np.array([True] * 9 + [False] + [True] * 5)
    baseline = np.array([False] * 9 + [True] + [True] * 5)
    assert mcnemar(correct, baseline) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(correct, correct) == 1.0


def test_rows_needed_has_the_power_it_promises() -> None:
    """Simulate the edge at the promised number of rows: about 80% of worlds must show it."""
    rng = np.random.default_rng(0)
    edge, pilot = 0.1, 500
    spread = np.sqrt(0.5 - edge**2)  # of a win-loss difference with half of the rows tied
    rows = round(rows_needed(edge, spread / np.sqrt(pilot), pilot, 0.95, 0.8))
    assert detectable_edge(1.96, spread / np.sqrt(rows), 0.8) == pytest.approx(edge, rel=0.01)
    outcomes = rng.choice([-1, 0, 1], p=[0.25 - edge / 2, 0.5, 0.25 + edge / 2], size=(2000, rows))
    lower = outcomes.mean(axis=1) - 1.96 * outcomes.std(axis=1) / np.sqrt(rows)
    assert (lower > 0).mean() == pytest.approx(0.8, abs=0.04)
