"""Rows of a data set as token ids, training examples and batches: for training and scoring."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import PreTrainedTokenizerBase

from tasks.training.job import split_files
from tasks.training.recipe import PromptSpec, TrainingError

COLUMNS = ("example_id", "input", "output")

IGNORED = -100
"""The target of a position that is not part of a completion: it adds nothing to the loss."""

Example = Mapping[str, list[int]]
"""One row of a batch: input_ids, targets (the next token, or IGNORED), position_ids."""


class DatasetError(TrainingError, ValueError):
    """A split cannot be trained on or scored; the message says what is wrong with it."""


@dataclass(frozen=True)
class Rows:
    """One split as columns of equal length, in the split's order."""

    example_ids: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.example_ids)

    def take(self, positions: Sequence[int]) -> Rows:
        """The rows at these positions, in this order."""
        return Rows(
            *(tuple(c[i] for i in positions) for c in (self.example_ids, self.inputs, self.outputs))
        )


@dataclass(frozen=True)
class Encoded:
    """Prompts and their continuations as token ids; `truncated` counts shortened prompts."""

    prompts: tuple[tuple[int, ...], ...]
    continuations: tuple[tuple[int, ...], ...]
    truncated: int


def read_rows(dataset: Path, split: str) -> Rows:
    """Read one split of a data set, from its Parquet file or its monthly ones, in stored order.

    Raises DatasetError if it is absent, empty or lacks a column.
    """
    files = split_files(dataset, split)
    if not files:
        raise DatasetError(
            f"The split {split} does not exist in {dataset.name}: expected a data set folder with "
            "train.parquet, validation.parquet and test.parquet, or a file of each per month. "
            "Build it again."
        )
    table: pa.Table = pa.concat_tables(map(pq.read_table, files))
    absent = [name for name in COLUMNS if name not in table.column_names]
    if absent:
        raise DatasetError(
            f"The split {split} lacks the columns {absent}: expected {list(COLUMNS)}, got "
            f"{table.column_names}. Build the data set again."
        )
    if table.num_rows == 0:
        raise DatasetError(
            f"The split {split} of {dataset.name} has no rows. Widen the dates or the "
            "list of tickers, or move the split's boundaries."
        )
    return Rows(*(tuple(map(str, table.column(name).to_pylist())) for name in COLUMNS))


def continuation(prompt: str, label: str) -> str:
    """The text that answers `prompt` with `label`: a space between unless there is one."""
    return label if prompt[-1:].isspace() else f" {label}"


def encode(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    labels: Sequence[str],
    spec: PromptSpec,
) -> Encoded:
    """Token ids of each prompt and of the label that continues it.

    Prompt and label are tokenised together, as the model will meet them, and cut at the boundary.
    Text that looks like a control token (`<|im_end|>` in a headline) is spelled out as plain text.
    A prompt over `spec.max_tokens` loses tokens from its middle: its first quarter (the ticker)
    and its end (the question) stay. Raises DatasetError where no token boundary falls between.
    """
    start = _start_ids(tokenizer)
    heads = _plain_ids(tokenizer, prompts)
    answered = [p + continuation(p, w) for p, w in zip(prompts, labels, strict=True)]
    wholes = _plain_ids(tokenizer, answered)
    short_prompts: list[tuple[int, ...]] = []
    tails: list[tuple[int, ...]] = []
    truncated = 0
    room = spec.max_tokens - len(start)
    for prompt, head, whole in zip(prompts, heads, wholes, strict=True):
        if whole[: len(head)] != head or len(whole) == len(head):
            raise DatasetError(
                f"The tokenizer merges the end of the prompt {prompt[-20:]!r} with its answer. "
                "End the prompt template with a plain word or a colon."
            )
        tails.append(tuple(whole[len(head) :]))
        if len(head) > room:
            truncated += 1
            head = head[: room // 4] + head[-(room - room // 4) :]
        short_prompts.append((*start, *head))
    return Encoded(tuple(short_prompts), tuple(tails), truncated)


def _plain_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    encoded = tokenizer(
        list(texts), add_special_tokens=False, split_special_tokens=True, verbose=False
    )
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def _start_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """What the tokenizer puts before every text: Llama's `<s>`, nothing for others."""
    bos = tokenizer.bos_token_id
    ids: list[int] = tokenizer("a")["input_ids"]
    return [bos] if bos is not None and ids[:1] == [bos] else []


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
