"""How often the best of many models that know nothing is declared better, by simulation.

    python benchmarks/evaluation/looks.py [--worlds 400]

In each world `models` coins are judged on one split of 60 sessions and eight tickers. `one
baseline`: the best of them against one fair coin. `every baseline`: against four, as a claim
demands. Once by its own interval's p-value, once corrected for all that were judged; and how often
a model that is right in 60 % of its calls is still found among them. Prints a Markdown table.
"""

from __future__ import annotations

import argparse

import numpy as np
import pyarrow as pa

from tasks.evaluation.looks import Look, correct
from tasks.evaluation.spec import EvaluationSpec

SESSIONS, TICKERS = 60, 8
SPEC = EvaluationSpec(resamples=500)


def split(rng: np.random.Generator) -> pa.Table:
    """The outcomes of one split, one session a label."""
    days = np.repeat(np.arange(SESSIONS), TICKERS) * 86_400 * 10**6
    moments = pa.array(days, pa.timestamp("us", tz="UTC"))
    ends = pa.array(days + 6 * 3600 * 10**6, pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "session": moments.cast(pa.date32()),
            "label_start_ts": moments,
            "label_end_ts": ends,
            "label_up": rng.random(len(days)) < 0.5,
        }
    )


def called(rng: np.random.Generator, label: np.ndarray, right: float) -> np.ndarray:
    """P(up) that points the right way with this probability."""
    return np.where(label == (rng.random(len(label)) < right), 0.7, 0.3)


def world(seed: int, models: int, baselines: int, best: float) -> tuple[bool, bool]:
    """Whether the best model is declared better: by its own p-value, and corrected."""
    rng = np.random.default_rng([seed, models, baselines])
    frame = split(rng)
    label = frame["label_up"].to_numpy()
    weak = {f"b{k}": called(rng, label, 0.5) for k in range(baselines)}
    calls = [called(rng, label, best), *(called(rng, label, 0.5) for _ in range(models - 1))]
    if best == 0.5:
        calls.sort(key=lambda p_up: -np.mean((p_up > 0.5) == label))
    found = correct([Look(frame, p_up, weak) for p_up in calls], SPEC)
    return found.p_alone <= 1 - SPEC.level, found.p_corrected <= 1 - SPEC.level


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=400)
    worlds = parser.parse_args().worlds
    print("| models judged | against | best of coins: alone | corrected | 60 % model: corrected |")
    print("|---|---|---|---|---|")
    for models in (1, 10, 50):
        for baselines, against in ((1, "one baseline"), (4, "every baseline")):
            null = np.mean([world(s, models, baselines, 0.5) for s in range(worlds)], axis=0)
            good = np.mean([world(s, models, baselines, 0.6) for s in range(worlds)], axis=0)
            cells = f"{null[0]:.3f} | {null[1]:.3f} | {good[1]:.2f}"
            print(f"| {models} | {against} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
