"""Two ways to fine-tune and two ways to score, on the same rows, model and threads.

    python -m benchmarks.training.comparison --rows 192 --recipe smollm2-135m

Training: packed rows with the loss (and the logits) on the completion alone, against rows padded
to the longest of their batch with the loss on every token, by transformers' own collator, as most
published projects do it. That collator takes the padding out of the loss; with the usual
`pad_token = eos_token` it takes out the end of text too, and the model never learns to stop.

Scoring: the likelihood of the two labels, against free generation whose text is parsed, with an
unparsed answer counted as wrong. Generation works on rows in their order, left-padded, greedily,
with a key-value cache, in the settings of `SETTINGS`. Both score the untuned base, the model
trained the published way, and the one trained here, which was taught to stop: the last is the most
generous to generation.

Useful tokens are those of prompts and answers; padding is not useful. Everything is timed in
the same process, by the clock and by the processor time it used (which other work on the machine
disturbs less), and its quality is measured on the same unseen rows.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from transformers import DataCollatorForLanguageModeling

from benchmarks.training.prompts import write_dataset
from tasks.training.base import LoadedBase, load_base
from tasks.training.encoding import Example, Rows, collate, encode, examples, read_rows
from tasks.training.finetune import add_adapter, training_examples, validation_ce
from tasks.training.recipe import PromptSpec, Recipe, load_recipe
from tasks.training.scoring import score_labels

SEED = 0
PUBLISHED, OURS = "padded, full sequence", "packed, completion only"

SETTINGS = {
    "generation, one by one": (1, 64),
    "generation, batches of 8": (8, 64),
    "generation, batches of 8, at most 10 tokens": (8, 10),
}
"""Rows at a time and new tokens at most. FinGPT's benchmark scripts let generation run to 512
tokens in all, or 10 new ones where several templates vote."""
Collate = Callable[[Sequence[Example]], dict[str, torch.Tensor]]


class Timer:
    """Seconds since it was made, by the clock and of this process on all its cores."""

    def __init__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        return time.perf_counter() - self._clock

    def cpu_seconds(self) -> float:
        return time.process_time() - self._cpu


def full_sequence(tokenizer: Any) -> Collate:
    """Padded rows with every token but the padding a target, by the collator that projects use."""
    usual = copy.deepcopy(tokenizer)
    usual.pad_token, usual.padding_side = usual.eos_token, "right"
    usual_collate = DataCollatorForLanguageModeling(usual, mlm=False)

    def collate_rows(rows: Sequence[Example]) -> dict[str, torch.Tensor]:
        whole = [[*row["input_ids"], row["targets"][-1]] for row in rows]
        return dict(usual_collate([{"input_ids": ids} for ids in whole]))

    return collate_rows


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
        torch.nn.utils.clip_grad_norm_(weights, recipe.schedule.max_grad_norm)
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


def training_comparison(recipe: Recipe, rows: dict[str, Rows], cache: Path) -> dict[str, Any]:
    """Both ways, each on a fresh base with about the same rows in each step; then they answer."""
    results: dict[str, Any] = {}
    for name in (PUBLISHED, OURS):
        base = load_base(recipe, cache)
        inputs = rows["train"].inputs, rows["train"].outputs
        encoded = encode(base.tokenizer, *inputs, recipe.prompt)
        made = examples(encoded, base.tokenizer.eos_token_id)
        batch, to_batch = recipe.schedule.batch_size, full_sequence(base.tokenizer)
        if name == OURS:
            packing = recipe.compute.model_copy(update={"packing": True})
            packed = recipe.model_copy(update={"compute": packing})
            singles = len(made)
            made = training_examples(base.tokenizer, rows["train"], packed, SEED)
            batch, to_batch = max(1, round(batch * len(made) / singles)), collate
        model, speed = train(base, recipe, made, batch, to_batch)
        results[name] = {**speed, "steps": -(-len(made) // batch)}
        results[name].update(quality(model, base, rows["test"], recipe))
        results[f"scoring, {name}"] = scoring_comparison(model, base, rows["few"], recipe)
        del model, base
        gc.collect()
    results["speed-up"] = {key: results[OURS][key] / results[PUBLISHED][key] for key in speed}
    return results


def scoring_comparison(model: Any, base: LoadedBase, rows: Rows, recipe: Recipe) -> dict[str, Any]:
    """Label likelihoods once, and generation in every setting, each with speed and accuracy."""
    is_up = np.array([output == recipe.prompt.up for output in rows.outputs])
    score_labels(model, base.tokenizer, rows.take(range(2)), recipe)  # the first call is slower
    timer = Timer()
    scores = score_labels(model, base.tokenizer, rows, recipe)
    clock, cpu = timer.seconds(), timer.cpu_seconds()
    found: dict[str, Any] = {
        "likelihood": {
            "rows_per_second": len(rows) / clock,
            "accuracy": float(((scores.p_up > 0.5) == is_up).mean()),
        }
    }
    for name, (batch_rows, new_tokens) in SETTINGS.items():
        timer = Timer()
        texts, made = published_generation(model, base, rows, recipe, batch_rows, new_tokens)
        generation, generation_cpu = timer.seconds(), timer.cpu_seconds()
        labels = [parse(text, recipe.prompt) for text in texts]
        right = [label == output for label, output in zip(labels, rows.outputs, strict=True)]
        found[name] = {
            "rows_per_second": len(rows) / generation,
            "accuracy": float(np.mean(right)),
            "unparsed": labels.count(None) / len(rows),
            "new_tokens_per_row": made / len(rows),
            "likelihood is faster": generation / clock,
            "likelihood is faster, processor time": generation_cpu / cpu,
        }
    return found


def parse(text: str, prompt: PromptSpec) -> str | None:
    """The one label that `text` names as a word of its own; None if it names neither or both."""
    named = {
        label
        for label in (prompt.up, prompt.down)
        if re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text, re.IGNORECASE)
    }
    return named.pop() if len(named) == 1 else None


@torch.inference_mode()
def published_generation(
    model: Any, base: LoadedBase, rows: Rows, recipe: Recipe, batch_rows: int, new_tokens: int
) -> tuple[list[str], int]:
    """Greedy answers in row order, and how many tokens were made, those after a stop included."""
    tokenizer = base.tokenizer
    prompts = encode(tokenizer, rows.inputs, rows.outputs, recipe.prompt).prompts
    texts, made = [], 0
    for start in range(0, len(prompts), batch_rows):
        some = {"input_ids": [list(ids) for ids in prompts[start : start + batch_rows]]}
        batch = tokenizer.pad(some, padding_side="left", return_tensors="pt")
        answer = model.generate(
            **batch.to(model.device),
            max_new_tokens=new_tokens,
            do_sample=False,
            use_cache=True,
            pad_token_id=tokenizer.eos_token_id,
        )[:, batch["input_ids"].shape[1] :]
        made += answer.numel()
        texts += tokenizer.batch_decode(answer, skip_special_tokens=True)
    return texts, made


def main() -> None:
    """Run both comparisons and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="smollm2-135m")
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--test-rows", type=int, default=100)
    parser.add_argument("--answered-rows", type=int, default=24)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cache", type=Path, default=Path("data/models"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    recipe = load_recipe(given.recipe)
    with tempfile.TemporaryDirectory() as scratch:
        sizes = {"train": given.rows, "test": given.test_rows}
        folder = write_dataset(Path(scratch), sizes)
        rows = {split: read_rows(folder, split) for split in sizes}
    rows["few"] = rows["test"].take(range(min(given.answered_rows, given.test_rows)))
    base = load_base(recipe, given.cache)
    report = {
        "recipe": recipe.name,
        "rows": given.rows,
        "threads": given.threads,
        "settings": {
            name: dict(zip(("rows", "new"), s, strict=True)) for name, s in SETTINGS.items()
        },
        "scoring, base": scoring_comparison(base.model, base, rows["few"], recipe),
        **training_comparison(recipe, rows, given.cache),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
