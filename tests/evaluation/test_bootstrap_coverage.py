"""Intervals must cover at their level, also when rows of a session move together."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.evaluation.metrics import (
    auroc,
    from_sums,
    percentile_interval,
    session_draws,
    session_sums,
)
from tasks.evaluation.slices import detectable_edge, mcnemar, rows_needed

WORLDS = 400


def _world(rng: np.random.Generator, sessions: int, tickers: int) -> tuple[np.ndarray, ...]:
    """Calls right with probability 0.55 on average, but a session is easy or hard as a whole."""
    easy = rng.choice([-0.2, 0.2], size=sessions)
    right = rng.random((sessions, tickers)) < (0.55 + easy)[:, None]
    return right.ravel(), np.repeat(np.arange(sessions), tickers)


def _covers(level: float, sessions: int, *, clustered: bool) -> float:
    rng = np.random.default_rng(42)
    tickers, hits = 8, 0
    draws = session_draws(sessions if clustered else sessions * tickers, 300, 0, "all")
    for _ in range(WORLDS):
        right, session = _world(rng, sessions, tickers)
        groups = session if clustered else np.arange(len(right))
        count = draws.shape[1]
        ups = np.bincount(groups, right, count)
        rows = np.bincount(groups, minlength=count)
        replicates = draws @ ups / (draws @ rows)
        found = percentile_interval(float(right.mean()), replicates, level, count)
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


def test_interval_covers_a_known_auroc() -> None:
    """Two unit normals half a deviation apart have AUROC Phi(0.5 / sqrt 2) = 0.6382."""
    rng = np.random.default_rng(7)
    session = np.repeat(np.arange(50), 4)
    weights = np.vstack([np.ones(50), session_draws(50, 200, 0, "all")])
    hits = 0
    for _ in range(150):
        label = rng.random(200) < 0.5
        score = rng.normal(0.5 * label, 1.0)
        p_up = 1 / (1 + np.exp(-score))
        values = auroc(label, p_up, session, weights)
        found = percentile_interval(values[0], values[1:], 0.9, 50)
        hits += found.low <= 0.6382 <= found.high
    assert 0.9 - 0.1 < hits / 150 < 0.9 + 0.08


def test_a_rare_metric_is_undefined_not_zero() -> None:
    draws = np.full(100, np.nan)
    draws[:40] = 0.5
    found = percentile_interval(0.5, draws, 0.95, 10)
    assert np.isnan([found.low, found.high]).all()


def test_draws_repeat_for_a_seed_and_differ_between_slices() -> None:
    first = session_draws(30, 50, 3, "all")
    assert np.array_equal(first, session_draws(30, 50, 3, "all"))
    assert not np.array_equal(first, session_draws(30, 50, 3, "observed"))
    assert (first.sum(axis=1) == 30).all()


def test_standard_error_of_draws_matches_the_binomial() -> None:
    """One row a session: the bootstrap must rediscover sqrt(p q / n)."""
    label = np.arange(400) < 220
    sums = session_sums(
        np.ones(400, bool), label.astype(float), np.arange(400), 400, bins=10, clip=1e-6
    )
    draws = from_sums(session_draws(400, 4000, 0, "all") @ sums)["accuracy"]
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
    assert detectable_edge(spread / np.sqrt(rows), 0.95, 0.8) == pytest.approx(edge, rel=0.01)
    outcomes = rng.choice([-1, 0, 1], p=[0.25 - edge / 2, 0.5, 0.25 + edge / 2], size=(2000, rows))
    lower = outcomes.mean(axis=1) - 1.96 * outcomes.std(axis=1) / np.sqrt(rows)
    assert (lower > 0).mean() == pytest.approx(0.8, abs=0.04)
