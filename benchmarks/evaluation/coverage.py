"""How often the 95 % intervals of an evaluation hold the truth, by simulation.

    python benchmarks/evaluation/coverage.py [--worlds 1000]

Five predictors call eight tickers in worlds where the truth is known. For each world: the interval
of the first one's accuracy, and of its lead over the second. `alone` draws sessions one by one, as
though they were independent; `blocks` is what the program does. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

import numpy as np

from tasks.evaluation.intervals import (
    Interval,
    block_draws,
    block_length,
    deviations,
    percentile_interval,
    reach,
)
from tasks.evaluation.metrics import Floats, from_sums, session_sums

TICKERS, RESAMPLES, LEVEL = 8, 500, 0.95
SESSIONS = (20, 60, 120)


@dataclass(frozen=True)
class World:
    """Which outcomes there were, shape (sessions, tickers), each predictor's call, and the truth.

    `accuracy` is the first predictor's, `lead` its lead over the second.
    """

    up: np.ndarray
    calls: tuple[np.ndarray, ...]
    accuracy: float
    lead: float


def days(rng: np.random.Generator, sessions: int, serial: float) -> World:
    """One session a label; whole sessions are easy or hard for the first, by up to 40 points.

    How easy a session is follows an AR(1) process with the coefficient `serial`.
    """
    ease = _autoregressive(rng, sessions, serial)
    right = rng.random((sessions, TICKERS)) < 0.55 + np.clip(0.2 * ease, -0.4, 0.4)[:, None]
    up = rng.random((sessions, TICKERS)) < 0.5
    return World(up, (up == right, *_coins(rng, up.shape)), 0.55, 0.05)


def windows(rng: np.random.Generator, sessions: int, horizon: int, flips: float) -> World:
    """Labels over `horizon` sessions of a market that moves together; calls that know nothing.

    A predictor's calls turn round with the probability `flips` a session, for all tickers at once.
    """
    steps = sessions + horizon - 1
    moves = 0.8 * rng.normal(size=(steps, 1)) + rng.normal(size=(steps, TICKERS))
    path = np.vstack([np.zeros(TICKERS), np.cumsum(moves, axis=0)])
    up = path[horizon:] > path[:-horizon]
    shape = (sessions, TICKERS)
    turns = np.cumsum(rng.random((sessions, 1)) < flips, axis=0) + rng.integers(2)
    calls = np.broadcast_to(turns % 2 == 0, shape)
    return World(up, (calls, *_coins(rng, shape)), 0.5, 0.0)


def _coins(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return tuple(rng.random(shape) < 0.5 for _ in range(4))


def _autoregressive(rng: np.random.Generator, sessions: int, serial: float) -> Floats:
    shocks = rng.normal(size=sessions)
    series = np.empty(sessions)
    series[0] = shocks[0]
    for k in range(1, sessions):
        series[k] = serial * series[k - 1] + np.sqrt(1 - serial**2) * shocks[k]
    return series


Make = Callable[[np.random.Generator, int], World]
CASES: dict[str, tuple[int, Make]] = {
    "independent sessions, strong day effects": (1, lambda r, n: days(r, n, 0.0)),
    "sessions correlated by 0.3": (1, lambda r, n: days(r, n, 0.3)),
    "sessions correlated by 0.6": (1, lambda r, n: days(r, n, 0.6)),
    "horizon 1, slow calls": (1, lambda r, n: windows(r, n, 1, 0.02)),
    "horizon 5, slow calls": (5, lambda r, n: windows(r, n, 5, 0.02)),
    "horizon 5, changing calls": (5, lambda r, n: windows(r, n, 5, 0.5)),
    "horizon 20, slow calls": (20, lambda r, n: windows(r, n, 20, 0.02)),
    "horizon 20, changing calls": (20, lambda r, n: windows(r, n, 20, 0.5)),
}


def intervals(
    world: World, window: int, drawn: dict[int, Floats]
) -> Iterator[tuple[str, Interval]]:
    """The interval of the accuracy and of the lead, with sessions drawn alone and in blocks."""
    sessions = len(world.up)
    code = np.repeat(np.arange(sessions), TICKERS)
    sums = [
        session_sums(
            world.up.ravel(), np.where(call.ravel(), 0.7, 0.3), code, sessions, bins=2, clip=1e-6
        )
        for call in world.calls
    ]
    chosen = block_length(deviations(sums, "accuracy"), window)
    for kind, block, span in (("alone", 1, 1), ("blocks", chosen, window)):
        if block not in drawn:
            resamples = block_draws(sessions, block, RESAMPLES, 0, "all")
            drawn[block] = np.vstack([np.ones(sessions), resamples])
        first, second = (from_sums(drawn[block] @ own)["accuracy"] for own in sums[:2])
        far = reach(sessions, span, block, LEVEL)
        yield f"accuracy {kind}", percentile_interval(float(first[0]), first[1:], far)
        gap = first - second
        yield f"lead {kind}", percentile_interval(float(gap[0]), gap[1:], far)


def coverage(name: str, sessions: int, worlds: int) -> dict[str, tuple[float, float]]:
    """Share of worlds whose interval holds the truth, and its mean width; NaN without intervals."""
    window, make = CASES[name]
    rng = np.random.default_rng([sessions, *name.encode()])
    drawn: dict[int, Floats] = {}
    hits: dict[str, list[float]] = {}
    for _ in range(worlds):
        world = make(rng, sessions)
        for key, found in intervals(world, window, drawn):
            truth = world.accuracy if key.startswith("accuracy") else world.lead
            held = found.low <= truth <= found.high if found.low > -inf else float("nan")
            hits.setdefault(key, []).append((held, found.high - found.low))
    return {key: tuple(np.mean(values, axis=0)) for key, values in hits.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000)
    worlds = parser.parse_args().worlds
    print("| world | sessions | accuracy, alone | in blocks | lead, alone | in blocks | width |")
    print("|---|---|---|---|---|---|---|")
    for name in CASES:
        for sessions in SESSIONS:
            found = coverage(name, sessions, worlds)
            shares = [
                "none given" if np.isnan(found[key][0]) else f"{found[key][0]:.3f}"
                for key in ("accuracy alone", "accuracy blocks", "lead alone", "lead blocks")
            ]
            ratio = found["lead blocks"][1] / found["lead alone"][1]
            wider = "" if np.isnan(ratio) else f"{ratio:.2f}"
            print(f"| {name} | {sessions} | {' | '.join(shares)} | {wider} |", flush=True)


if __name__ == "__main__":
    main()
