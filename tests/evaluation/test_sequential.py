"""Hazard of daily looking: what holds at one look does not hold at all of them."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from tasks.evaluation.sequential import (
    BETS,
    Gains,
    confidence_sequence,
    gains_of,
    lead_of,
    level_of_test,
    log_capital,
    lower_bound,
)

TICKERS, DAYS = 5, 250


def _hits(rng: np.random.Generator, sessions: int = DAYS, right: float = 0.55) -> np.ndarray:
    """Right calls a session; sessions are easy or hard as a whole."""
    return rng.binomial(TICKERS, right + rng.choice([-0.2, 0.2], size=sessions)).astype(float)


def _gains(total: np.ndarray, *, low: float = 0.0, window: int = 1) -> Gains:
    return Gains(np.full(len(total), float(TICKERS)), total, low, 1.0, window)


def test_truth_leaves_the_band_on_no_day_where_a_daily_interval_loses_it() -> None:
    rng = np.random.default_rng(1)
    left = {"sequence": 0, "interval": 0}
    for _ in range(200):
        total = _hits(rng)
        gains = _gains(total)
        capital = [log_capital(gains, 0.55), log_capital(gains.flipped, -0.55)]
        left["sequence"] += max(side.max() for side in capital) >= log(2 / 0.05)
        count = np.arange(1, DAYS + 1)
        mean = np.cumsum(total) / count
        error = np.sqrt(np.maximum(np.cumsum(total**2) / count - mean**2, 1e-9) / count)
        left["interval"] += bool((np.abs(mean - 5 * 0.55) > 1.96 * error)[20:].any())
    assert left["sequence"] <= 10
    assert left["interval"] > 50


def test_bounds_are_where_the_capital_of_plain_bets_reaches_its_limit() -> None:
    total = _hits(np.random.default_rng(2), sessions=40)
    found = confidence_sequence(_gains(total), 0.95)
    capital = 0.0
    for bet in BETS:
        money = 1.0
        for hits in total:
            money *= 1 + bet * (hits - 5 * found.low) / (5 * found.low)
        capital += money / len(BETS)
    assert capital == pytest.approx(1 / 0.025, rel=1e-6)
    assert found.low < found.value < found.high


def test_an_edge_that_comes_and_goes_counts_by_its_average() -> None:
    """Days on which the first is better by 40 points and days on which it is worse by as much."""
    rng = np.random.default_rng(3)
    crossed = 0
    for _ in range(200):
        sway = np.where(np.arange(DAYS) // 10 % 2 == 0, -0.4, 0.4)
        total = rng.binomial(TICKERS, 0.5 + sway / 2) - rng.binomial(TICKERS, 0.5 - sway / 2)
        capital = log_capital(_gains(total.astype(float), low=-1.0), 0.0)
        crossed += capital.max() >= log(1 / 0.05)
    assert crossed <= 10


def test_overlapping_windows_do_not_pass_for_many_outcomes() -> None:
    """Slow calls on labels over ten sessions: bets on every session would win by luck alone."""
    rng, crossed = np.random.default_rng(4), {1: 0, 10: 0}
    for _ in range(150):
        moves = rng.normal(size=(129, 1)) + 0.5 * rng.normal(size=(129, TICKERS))
        path = np.vstack([np.zeros(TICKERS), np.cumsum(moves, axis=0)])
        up = path[10:] > path[:-10]
        turns = (np.cumsum(rng.random(120) < 0.02) + rng.integers(2)) % 2 == 0
        total = (up == turns[:, None]).sum(axis=1).astype(float)
        for window in crossed:
            crossed[window] += lower_bound(_gains(total, window=window), 0.05) > 0.5
    assert crossed[10] <= 7
    assert crossed[1] > 15


def test_shares_of_all_tests_together_are_the_level() -> None:
    shares = [level_of_test(number, 0.05) for number in range(1, 2000)]
    assert sum(shares) == pytest.approx(0.05, abs=1e-4)
    assert sum(shares) < 0.05


def test_weekly_looks_at_three_challengers_promote_no_coin_in_five_years() -> None:
    """Fifteen trials of 250 sessions a run; the benchmark has 200 runs and the former rule."""
    rng, false = np.random.default_rng(5), 0
    for _ in range(60):
        champion = _hits(rng, 1250, 0.5)
        for number in range(1, 16):
            start = (number - 1) // 3 * 250
            lead = (_hits(rng, 1250, 0.5) - champion)[start : start + 250]
            capital = log_capital(_gains(lead, low=-1.0), 0.0)
            false += capital[4::5].max() >= log(1 / level_of_test(number, 0.05))
    assert false <= 3


def test_a_lead_of_eight_points_is_found_within_its_trial() -> None:
    rng, found = np.random.default_rng(6), 0
    for _ in range(100):
        lead = _hits(rng, 500, 0.58) - _hits(rng, 500, 0.5)
        capital = log_capital(_gains(lead, low=-1.0), 0.0)
        found += capital.max() >= log(1 / level_of_test(1, 0.05))
    assert found >= 80


def test_gains_are_counted_by_session(make_frame) -> None:
    frame = make_frame(sessions=4, tickers=2, horizon=3)
    up = frame["label_up"].to_numpy()
    right, wrong = np.where(up, 0.9, 0.1), np.where(up, 0.1, 0.9)
    gains = lead_of(frame, right, wrong)
    assert gains.total.tolist() == [2.0] * 4
    assert gains.window == 3
    assert np.isnan(gains_of(frame.slice(0, 0), [], 0.0, 1.0).mean)
