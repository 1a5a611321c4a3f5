"""Batched label likelihoods against the definition, one prompt at a time over the whole text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.training.base import LoadedBase, load_base
from tasks.training.encoding import Rows, encode, read_rows
from tasks.training.recipe import Recipe
from tasks.training.scoring import score_labels


@pytest.fixture(scope="module")
def base(tiny: Recipe, cache: Path) -> LoadedBase:
    return load_base(tiny, cache)


@pytest.fixture(scope="module")
def rows(dataset: Path) -> Rows:
    return read_rows(dataset, "test").take(range(40))


def by_definition(base: LoadedBase, rows: Rows, label: str, recipe: Recipe) -> np.ndarray:
    """Sum of log p(token | everything before it) over the label's tokens."""
    encoded = encode(base.tokenizer, rows.inputs, [label] * len(rows), recipe.prompt)
    out = []
    for prompt, answer in zip(encoded.prompts, encoded.continuations, strict=True):
        with torch.no_grad():
            logits = base.model(torch.tensor([[*prompt, *answer]])).logits[0].double()
        logp = logits.log_softmax(-1)
        start = len(prompt) - 1
        out.append(sum(logp[start + i, token].item() for i, token in enumerate(answer)))
    return np.array(out)


@pytest.mark.parametrize(
    "labels", [("up", "down"), ("rise strongly today", "slump"), ("Ω", "down")]
)
@pytest.mark.parametrize("batch_tokens", [1, 200, 100_000])
def test_batched_scores_equal_the_definition(
    base, rows, tiny, changed, labels: tuple[str, str], batch_tokens: int
) -> None:
    recipe = changed(
        tiny,
        prompt={"up": labels[0], "down": labels[1]},
        compute={"score_batch_tokens": batch_tokens},
    )
    some = rows if batch_tokens > 1 else rows.take(range(5))
    scores = score_labels(base.model, base.tokenizer, some, recipe)
    up, down = (by_definition(base, some, label, recipe) for label in labels)
    np.testing.assert_allclose(scores.logp_up, up, atol=1e-4)
    np.testing.assert_allclose(scores.logp_down, down, atol=1e-4)
    np.testing.assert_allclose(scores.p_up, np.exp(up) / (np.exp(up) + np.exp(down)), atol=1e-5)


def test_cross_entropies_are_means_of_negative_logs(base, rows, tiny) -> None:
    scores = score_labels(base.model, base.tokenizer, rows, tiny)
    is_up = np.array([output == "up" for output in rows.outputs])
    chosen = np.where(is_up, scores.p_up, 1 - scores.p_up)
    assert scores.pair_ce(is_up) == pytest.approx(-np.log(chosen).mean())
    raw = np.where(is_up, scores.logp_up, scores.logp_down)
    assert scores.label_ce(is_up) == pytest.approx(-raw.mean())
    assert scores.label_ce(is_up) > scores.pair_ce(is_up)
