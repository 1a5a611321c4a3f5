"""Training batches: completion-only targets, padded rows or packed ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

from tasks.training.encoding import Encoded

IGNORED = -100
"""The target of a position that is not part of a completion: it adds nothing to the loss."""

POOL_BATCHES = 16
"""Rows are sorted by length within pools of this many batches: enough to pad little."""

Example = Mapping[str, list[int]]
"""One row of a batch: input_ids, targets (the next token, or IGNORED), position_ids."""


def examples(encoded: Encoded, end_of_text: int | None) -> list[Example]:
    """One example per row, its targets already shifted: position i predicts token i + 1.

    Only completion tokens are targets. The last token is never an input: nothing follows it.
    """
    made: list[Example] = []
    for prompt, answer in zip(encoded.prompts, encoded.continuations, strict=True):
        completion = answer if end_of_text is None else (*answer, end_of_text)
        ids = [*prompt, *completion]
        made.append(
            {
                "input_ids": ids[:-1],
                "targets": [IGNORED] * (len(prompt) - 1) + ids[len(prompt) :],
                "position_ids": list(range(len(ids) - 1)),
            }
        )
    return made


def pack(rows: Sequence[Example], tokens: int, seed: int) -> list[Example]:
    """Lay examples end to end in bins of at most `tokens` (a longer example has its own bin).

    Positions restart with each example, which is what isolates them: transformers builds a
    block-diagonal attention mask from the restarts when no attention mask is given. First fit
    over a seeded shuffle, so that a bin mixes sessions and tickers.
    """
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)  # noqa: S311  (a draw, not a secret)
    bins: list[list[int]] = []
    space: list[int] = []
    for position in order:
        length = len(rows[position]["input_ids"])
        fit = next((i for i, left in enumerate(space) if left >= length), None)
        if fit is None:
            bins.append([])
            space.append(max(tokens, length))
            fit = len(bins) - 1
        bins[fit].append(position)
        space[fit] -= length
    names = ("input_ids", "targets", "position_ids")
    return [{name: [t for i in b for t in rows[i][name]] for name in names} for b in bins]


class EpochOrder(Sampler[int]):
    """The order of rows in each epoch: a function of seed and epoch, which a resumed run repeats.

    With `by_length`, rows of about equal length share a batch, which saves padding; batches come
    in random order.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int, by_length: bool) -> None:
        self._lengths, self._batch, self._seed, self._by_length = lengths, batch, seed, by_length
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(f"{self._seed}/{self._epoch}")  # noqa: S311  (a draw, not a secret)
        order = list(range(len(self._lengths)))
        draw.shuffle(order)
        if not self._by_length:
            return iter(order)
        pool = self._batch * POOL_BATCHES
        batches = []
        for start in range(0, len(order), pool):
            near = sorted(order[start : start + pool], key=lambda row: self._lengths[row])
            batches += [near[i : i + self._batch] for i in range(0, len(near), self._batch)]
        short = [batches.pop()] if len(batches[-1]) < self._batch else []
        draw.shuffle(batches)
        return iter([row for batch in batches + short for row in batch])


def collate(rows: Sequence[Example]) -> dict[str, Any]:
    """A batch for the model's forward: one line per row or bin, right-padded.

    Padding continues the last example's positions: causal attention keeps it out of sight of real
    tokens, and rows without packing need no mask at all. The boolean `logits_to_keep` makes the
    model compute logits at target positions alone, flattened; `shift_labels` are the targets
    there, shape (targets,).
    """
    width = max(len(row["input_ids"]) for row in rows)

    def padded(name: str, fill: int) -> torch.Tensor:
        return torch.tensor([[*row[name], *[fill] * (width - len(row[name]))] for row in rows])

    positions = []
    for row in rows:
        after = row["position_ids"][-1] + 1
        padding = range(after, after + width - len(row["input_ids"]))
        positions.append([*row["position_ids"], *padding])
    targets = padded("targets", IGNORED)
    keep = targets != IGNORED
    return {
        "input_ids": padded("input_ids", 0),
        "position_ids": torch.tensor(positions),
        "logits_to_keep": keep,
        "labels": targets[keep],
        "shift_labels": targets[keep],
    }
