"""Two ways to fine-tune and two ways to score, on the same rows, model and threads.

    python -m benchmarks.training.contest --rows 192 --recipe smollm2-135m

Training: packed rows with the loss (and the logits) on the completion alone, against rows padded
to the longest of their batch with the loss on every token, as the published projects do it.
Scoring: the likelihood of the two labels, against free generation, parsed: in batches of 8 rows and
up to 128 new tokens for the base model, which does not know when to stop; in the scorer's own
batches for the tuned one, which was taught to. Useful tokens are those of prompts and answers;
padding is not useful. Every contestant is timed in the same process, by the clock and by the
processor time it used (which other work on the machine disturbs less), and its quality is measured
on the same unseen rows.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from benchmarks.training.prompts import write_dataset
from tasks.training.base import LoadedBase, load_base
from tasks.training.batches import Example, collate, examples
from tasks.training.encoding import Rows, encode, read_rows
from tasks.training.finetune import add_adapter, training_examples, validation_ce
from tasks.training.generate import generate, parse
from tasks.training.likelihood import score_labels
from tasks.training.recipe import Recipe, load_recipe

SEED = 0
Collate = Callable[[Sequence[Example]], dict[str, torch.Tensor]]


class Timer:
    """Seconds since it was made, by the clock and of this process on all its cores."""

    def __init__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        return time.perf_counter() - self._clock

    def cpu_seconds(self) -> float:
        return time.process_time() - self._cpu


def collate_full_sequence(rows: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Padded rows with an attention mask and every real token a target: the common way."""
    width = max(len(row["input_ids"]) for row in rows) + 1
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for line, row in enumerate(rows):
        tokens = [*row["input_ids"], row["targets"][-1]]
        ids[line, : len(tokens)] = torch.tensor(tokens)
        mask[line, : len(tokens)] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def train(
    base: LoadedBase, recipe: Recipe, rows: list[Example], batch: int, to_batch: Collate
) -> tuple[Any, dict[str, float]]:
    """One epoch with the recipe's learning rate. Returns the model and its speed."""
    model = add_adapter(base, recipe, SEED).train()
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=recipe.schedule.learning_rate, weight_decay=0.0)
    order = np.random.default_rng(SEED).permutation(len(rows))
    batches = [order[i : i + batch] for i in range(0, len(order), batch)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.schedule.learning_rate, total_steps=len(batches), pct_start=0.1
    )
    useful = sum(len(row["input_ids"]) + 1 for row in rows)
    timer = Timer()
    for number in batches:
        model(**to_batch([rows[i] for i in number])).loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, recipe.schedule.max_gradient_norm)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    return model, {
        "useful_tokens_per_second": useful / timer.seconds(),
        "useful_tokens_per_cpu_second": useful / timer.cpu_seconds(),
    }


def quality(model: Any, base: LoadedBase, rows: Rows, recipe: Recipe) -> dict[str, float]:
    """Accuracy and cross-entropies on unseen rows."""
    scores = score_labels(model, base.tokenizer, rows, recipe)
    is_up = np.array([output == recipe.prompt.up for output in rows.outputs])
    accuracy = float(((scores.p_up > 0.5) == is_up).mean())
    return {"accuracy": accuracy, **validation_ce(model, base.tokenizer, rows, recipe)}


def training_contest(
    recipe: Recipe, train_rows: Rows, test_rows: Rows, cache: Path
) -> dict[str, Any]:
    """Both ways, each on a fresh base, with about the same rows in each step."""
    results: dict[str, Any] = {}
    for name in ("padded, full sequence", "packed, completion only"):
        base = load_base(recipe, cache)
        encoded = encode(base.tokenizer, train_rows.inputs, train_rows.outputs, recipe.prompt)
        single = examples(encoded, base.tokenizer.eos_token_id)
        rows, batch, to_batch = single, recipe.schedule.batch_rows, collate_full_sequence
        if name.startswith("packed"):
            packing = recipe.compute.model_copy(update={"packing": True})
            packed = recipe.model_copy(update={"compute": packing})
            rows = training_examples(base.tokenizer, train_rows, packed, SEED)
            per_bin = len(single) / len(rows)
            batch, to_batch = max(1, round(recipe.schedule.batch_rows / per_bin)), collate
        model, speed = train(base, recipe, rows, batch, to_batch)
        steps = -(-len(rows) // batch)
        results[name] = {**speed, "steps": steps}
        results[name].update(quality(model, base, test_rows, recipe))
        tuned = model
        gc.collect()
    ours, theirs = results["packed, completion only"], results["padded, full sequence"]
    results["speed-up"] = {name: ours[name] / theirs[name] for name in speed}
    own_batches = recipe.compute.score_batch_tokens
    results["scoring, tuned"] = scoring_contest(tuned, base, test_rows, recipe, 16, own_batches)
    return results


def scoring_contest(
    model: Any, base: LoadedBase, rows: Rows, recipe: Recipe, new_tokens: int, batch_tokens: int
) -> dict[str, float]:
    """Rows a second and accuracy of both ways; an unparsed answer counts as wrong.

    Generation works in batches of `batch_tokens`.
    """
    compute = recipe.compute.model_copy(update={"score_batch_tokens": batch_tokens})
    generating = recipe.model_copy(update={"compute": compute})
    timer = Timer()
    scores = score_labels(model, base.tokenizer, rows, recipe)
    likelihood, likelihood_cpu = timer.seconds(), timer.cpu_seconds()
    timer = Timer()
    texts = generate(model, base.tokenizer, rows, generating, max_new_tokens=new_tokens)
    generation, generation_cpu = timer.seconds(), timer.cpu_seconds()
    said = [parse(text, recipe.prompt) for text in texts]
    is_up = np.array([output == recipe.prompt.up for output in rows.outputs])
    return {
        "new_tokens_at_most": new_tokens,
        "likelihood_rows_per_second": len(rows) / likelihood,
        "generation_rows_per_second": len(rows) / generation,
        "speed-up": generation / likelihood,
        "speed-up in processor time": generation_cpu / likelihood_cpu,
        "likelihood_accuracy": float(((scores.p_up > 0.5) == is_up).mean()),
        "generation_accuracy": float(
            np.mean([s == o for s, o in zip(said, rows.outputs, strict=True)])
        ),
        "unparsed": said.count(None) / len(rows),
    }


def main() -> None:
    """Run all contests and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="smollm2-135m")
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--test-rows", type=int, default=100)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--cache", type=Path, default=Path("data/models"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    recipe = load_recipe(given.recipe)
    with tempfile.TemporaryDirectory() as scratch:
        sizes = {"train": given.rows, "test": given.test_rows}
        folder = write_dataset(Path(scratch), sizes)
        rows = {split: read_rows(folder / f"{split}.parquet") for split in sizes}
    base = load_base(recipe, given.cache)
    few = rows["test"].take(range(min(24, given.test_rows)))
    eight_rows = 8 * max(map(len, base.tokenizer(list(few.inputs))["input_ids"]))
    report = {
        "recipe": recipe.name,
        "rows": given.rows,
        "threads": given.threads,
        "scoring, base": scoring_contest(
            base.model, base, few, recipe, given.new_tokens, eight_rows
        ),
        **training_contest(recipe, rows["train"], rows["test"], given.cache),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
