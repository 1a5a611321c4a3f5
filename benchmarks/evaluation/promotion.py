"""How often five years of weekly looks promote a model that is no better, by simulation.

    python benchmarks/evaluation/promotion.py [--runs 200]

A champion and three challengers call eight tickers every session; sessions are easy or hard for
each model as a whole. Every fifth session each challenger is looked at. One that has been on trial
for 250 sessions makes room for another if it is behind, and after 500 in any case, and so on for
five years. `interval`: promoted as soon as
a pointwise 95 % interval of its lead excludes zero, from 40 sessions on. `e-process`: as soon as
its capital reaches one over its share of 5 %, which is what the program does. In the last lines
one challenger leads by some points; it takes part from the start, or as the fifteenth. Prints
Markdown tables.
"""

from __future__ import annotations

import argparse
from math import log

import numpy as np

from tasks.evaluation.sequential import Gains, level_of_test, log_capital

TICKERS, PLACES, TRIAL, YEARS, WEEK = 8, 3, 250, 5, 5
SESSIONS = YEARS * 252


def hits(rng: np.random.Generator, right: float) -> np.ndarray:
    """Right calls a session of one model, shape (SESSIONS,)."""
    ease = rng.choice([-0.2, 0.2], size=SESSIONS)
    return rng.binomial(TICKERS, right + ease).astype(float)


def promoted_at(lead: np.ndarray, number: int, rule: str) -> int | None:
    """Sessions until a weekly look promotes, on one trial's leads; None if it never does."""
    if rule == "e-process":
        gains = Gains(np.full(len(lead), float(TICKERS)), lead, -1.0, 1.0)
        passed = log_capital(gains, 0.0) >= log(1 / level_of_test(number, 0.05))
    else:
        count = np.arange(1, len(lead) + 1)
        mean = np.cumsum(lead) / count
        error = np.sqrt(np.maximum(np.cumsum(lead**2) / count - mean**2, 1e-9) / count)
        passed = (mean > 1.96 * error) & (count >= 40)
    looks = np.flatnonzero(passed[WEEK - 1 :: WEEK])
    return None if not len(looks) else int(looks[0] + 1) * WEEK


def run(seed: int, rule: str) -> int:
    """False promotions in five years of a market in which all models are coins."""
    rng = np.random.default_rng(seed)
    champion, number, promotions = hits(rng, 0.5), 0, 0
    free = [0] * PLACES
    while (start := min(free)) < SESSIONS - WEEK:
        number += 1
        lead = (hits(rng, 0.5) - champion)[start : start + 2 * TRIAL]
        lead = lead if lead[:TRIAL].mean() > 0 else lead[:TRIAL]
        promotions += promoted_at(lead, number, rule) is not None
        free[free.index(start)] = start + len(lead)
    return promotions


def found(seed: int, points: float, number: int) -> int | None:
    """Sessions until a challenger with this lead, in points, is promoted; None if it retires."""
    rng = np.random.default_rng([seed, number])
    lead = hits(rng, 0.5 + points / 100) - hits(rng, 0.5)
    kept = 2 * TRIAL if lead[:TRIAL].mean() > 0 else TRIAL
    return promoted_at(lead[:kept], number, "e-process")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    print("| rule | runs with a false promotion | false promotions a run |")
    print("|---|---|---|")
    for rule in ("interval", "e-process"):
        counts = np.array([run(seed, rule) for seed in range(runs)])
        print(f"| {rule} | {np.mean(counts > 0):.1%} | {counts.mean():.2f} |", flush=True)
    print("\n| lead | test | found within 250 sessions | within 500 | half of them within |")
    print("|---|---|---|---|---|")
    for points in (4, 8, 12):
        for number in (1, 3, 15):
            days = [found(seed, points, number) for seed in range(runs)]
            known = [day for day in days if day is not None]
            half = f"{np.median(known):.0f} sessions" if known else ""
            early = sum(day <= TRIAL for day in known) / runs
            shares = f"{early:.0%} | {len(known) / runs:.0%}"
            print(f"| {points} points | {number} | {shares} | {half} |", flush=True)


if __name__ == "__main__":
    main()
