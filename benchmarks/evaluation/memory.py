"""How often the recall probe finds a planted memory, and how often it accuses an honest base.

    python benchmarks/evaluation/memory.py [--models 4] [--seeds 50]

Real: `models` tiny language models (sandbox-tiny, random weights), each trained in all its weights
on the outcomes of half of 160 (ticker, session) pairs, in the wording of the probe and in that of a
prompt with date and news; and as many that were trained on coins instead, an honest base with
convictions. Each is asked about all pairs without news (the probe) and with news that says nothing
(the model that is judged). Simulated: `seeds` worlds of each kind of 60 sessions and eight tickers,
whose pairs of answers are drawn from those of the real models, of taught pairs by how far they
point to the truth. Prints a Markdown table of both.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from tasks.dataset.spec.render import RenderSpec
from tasks.evaluation.memory import Memory, recall_by_slice, through_memory
from tasks.evaluation.spec import EvaluationSpec
from tasks.training.base import LoadedBase, load_base
from tasks.training.encoding import Rows, collate, encode, examples
from tasks.training.recipe import Recipe, load_recipe
from tasks.training.scoring import score_labels

SPEC = EvaluationSpec(resamples=500, period=None)
RENDER = RenderSpec(template="{ticker} on {session} news:\n{headlines}\nDirection:")
NEWS = ("- company holds its annual meeting", "- shares trade on the exchange today")
STEPS, RATE = 120, 5e-3


@dataclass(frozen=True)
class Answers:
    """Log-odds of up, by pair: without news and with it; and which pairs were taught."""

    label: np.ndarray
    taught: np.ndarray
    recalled: np.ndarray
    judged: np.ndarray


def split(rng: np.random.Generator, sessions: int, tickers: int) -> pa.Table:
    """Outcomes of one split, one session a label."""
    days = np.repeat(np.arange(15_000, 15_000 + sessions), tickers) * 86_400 * 10**6
    moments = pa.array(days, pa.timestamp("us", tz="UTC"))
    ends = pa.array(days + 6 * 3600 * 10**6, pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "ticker": [f"T{k}" for k in np.tile(np.arange(tickers), sessions)],
            "session": moments.cast(pa.date32()),
            "label_start_ts": moments,
            "label_end_ts": ends,
            "label_up": rng.random(len(days)) < 0.5,
            "availability": ["observed"] * len(days),
        }
    )


def worded(frame: pa.Table, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Each pair's question without news, and with news drawn at random."""
    places = frame.select(["ticker", "session"]).to_pylist()
    bare = [RENDER.without_news().template.format(**place) for place in places]
    news = rng.integers(0, len(NEWS), len(places))
    full = [
        RENDER.template.format(**place, headlines=NEWS[pick])
        for place, pick in zip(places, news, strict=True)
    ]
    return bare, full


def teach(base: LoadedBase, recipe: Recipe, prompts: list[str], answers: list[str]) -> None:
    """Train all weights of the base on these answers, in full batches."""
    encoded = encode(base.tokenizer, prompts, answers, recipe.prompt)
    batch = collate(examples(encoded, None))
    targets = batch.pop("labels")
    del batch["shift_labels"]
    optimiser = torch.optim.AdamW(base.model.parameters(), lr=RATE)
    base.model.train()
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(base.model(**batch).logits, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    base.model.eval()


def taught_model(seed: int, cache: Path, *, honest: bool, sessions: int, tickers: int) -> Answers:
    """A real tiny model taught half of the outcomes (or coins instead), and its answers."""
    rng = np.random.default_rng([seed, honest])
    recipe = load_recipe("sandbox-tiny")
    recipe = recipe.model_copy(
        update={"base": recipe.base.model_copy(update={"weights_seed": seed})}
    )
    frame = split(rng, sessions, tickers)
    label = frame["label_up"].to_numpy()
    taught = np.zeros(len(label), dtype=bool)
    taught[rng.permutation(len(label))[: len(label) // 2]] = True
    bare, full = worded(frame, rng)
    answers = np.where(rng.random(len(label)) < 0.5 if honest else label, "up", "down").tolist()
    base = load_base(recipe, cache)
    chosen = np.flatnonzero(taught)
    prompts = [one[k] for one in (bare, full) for k in chosen]
    teach(base, recipe, prompts, [answers[k] for k in chosen] * 2)
    odds = []
    for one in (bare, full):
        rows = Rows(tuple(map(str, range(len(one)))), tuple(one), ("",) * len(one))
        scores = score_labels(base.model, base.tokenizer, rows, recipe)
        odds.append(scores.logp_up - scores.logp_down)
    return Answers(label, taught, odds[0], odds[1])


def memory_of(frame: pa.Table, judged: np.ndarray, recalled: np.ndarray) -> Memory:
    """What the evaluation finds, from log-odds."""
    own, probe = (1 / (1 + np.exp(-np.clip(odds, -500, 500))) for odds in (judged, recalled))
    recall = recall_by_slice(frame, probe, SPEC)["all"][0]
    return Memory(recall, through_memory(frame, own, probe, SPEC), frame.num_rows)


def real(answers: Answers, seed: int, sessions: int, tickers: int, *, honest: bool) -> Memory:
    """What the evaluation finds of a real model."""
    frame = split(np.random.default_rng([seed, honest]), sessions, tickers)
    return memory_of(frame, answers.judged, answers.recalled)


def simulated(
    pool: list[Answers], seed: int, *, honest: bool, sessions: int = 60, tickers: int = 8
) -> Memory:
    """What it finds in a world whose answers are drawn from those of real models."""
    rng = np.random.default_rng([seed, 2 + honest])
    frame = split(rng, sessions, tickers)
    up = frame["label_up"].to_numpy()
    own = pool[seed % len(pool)]
    taught = np.zeros(len(up), dtype=bool)
    taught[rng.permutation(len(up))[: len(up) // 2]] = True
    known, unknown = np.flatnonzero(own.taught), np.flatnonzero(~own.taught)
    drawn = np.where(taught, rng.choice(known, len(up)), rng.choice(unknown, len(up)))
    odds = np.stack([own.recalled, own.judged])[:, drawn]
    if not honest:
        # A taught pair's answers are turned with its outcome; the others keep the model's leaning.
        turned = taught & (own.label[drawn] != up)
        odds = np.where(turned, -odds, odds)
    return memory_of(frame, odds[1], odds[0])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=50)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    size = {"sessions": 32, "tickers": 5}
    print("| base | worlds | AUROC | memory found | verdict withheld |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as cache:
        for honest in (False, True):
            seeds = range(chosen.models)
            pool = [taught_model(s, Path(cache), honest=honest, **size) for s in seeds]
            name = "taught coins (honest)" if honest else "taught half of the outcomes"
            for kind, found in (
                ("real models", [real(a, s, honest=honest, **size) for s, a in enumerate(pool)]),
                ("simulated", [simulated(pool, s, honest=honest) for s in range(chosen.seeds)]),
            ):
                auroc = np.mean([memory.recall.value for memory in found])
                shares = (
                    f"{np.mean([memory.found for memory in found]):.2f} | "
                    f"{np.mean([memory.followed for memory in found]):.2f}"
                )
                print(f"| {name} | {len(found)} {kind} | {auroc:.3f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
