"""Rows of a data set as token ids: one place for training and scoring alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from tasks.training.recipe import PromptSpec, TrainingError

COLUMNS = ("example_id", "input", "output")


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


def read_rows(path: Path) -> Rows:
    """Read one split's Parquet file. Raises DatasetError if absent, empty or lacking a column."""
    if not path.is_file():
        raise DatasetError(
            f"The split {path.name} does not exist in {path.parent.name}: expected a data set "
            "folder with train.parquet, validation.parquet and test.parquet. Build it again."
        )
    table: pa.Table = pq.read_table(path)
    absent = [name for name in COLUMNS if name not in table.column_names]
    if absent:
        raise DatasetError(
            f"The split {path.name} lacks the columns {absent}: expected {list(COLUMNS)}, got "
            f"{table.column_names}. Build the data set again."
        )
    if table.num_rows == 0:
        raise DatasetError(
            f"The split {path.name} of {path.parent.name} has no rows. Widen the dates or the "
            "list of tickers, or move the split's boundaries."
        )
    return Rows(*(tuple(map(str, table.column(name).to_pylist())) for name in COLUMNS))


def continuation(prompt: str, word: str) -> str:
    """The text that answers `prompt` with `word`: a space between unless there is one."""
    return word if prompt[-1:].isspace() else f" {word}"


def encode(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    words: Sequence[str],
    spec: PromptSpec,
) -> Encoded:
    """Token ids of each prompt and of the word that continues it.

    Prompt and word are tokenised together, as the model will meet them, and cut at the boundary.
    Text that looks like a control token (`<|im_end|>` in a headline) is spelled out as plain text.
    A prompt over `spec.max_tokens` loses tokens from its middle: its first quarter (the ticker)
    and its end (the question) stay. Raises DatasetError where no token boundary falls between.
    """
    start = _start_ids(tokenizer)
    heads = _plain_ids(tokenizer, prompts)
    answered = [p + continuation(p, w) for p, w in zip(prompts, words, strict=True)]
    wholes = _plain_ids(tokenizer, answered)
    short_prompts: list[tuple[int, ...]] = []
    tails: list[tuple[int, ...]] = []
    truncated = 0
    room = spec.max_tokens - len(start)
    for prompt, head, whole in zip(prompts, heads, wholes, strict=True):
        if whole[: len(head)] != head or len(whole) == len(head):
            raise DatasetError(
                f"The tokenizer merges the end of the prompt {prompt[-20:]!r} with its answer, so "
                "they cannot be told apart. End the prompt template with a plain word or a colon."
            )
        if len(head) > room:
            truncated += 1
            tails_kept = room - room // 4
            head, whole = head[: room // 4] + head[-tails_kept:], whole[len(head) :]
        else:
            whole = whole[len(head) :]
        short_prompts.append((*start, *head))
        tails.append(tuple(whole))
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
