from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.training.encoding import DatasetError, encode, read_rows
from tasks.training.packing import IGNORED, collate, examples
from tasks.training.recipe import PromptSpec
from tasks.training.tiny import tiny_tokenizer

TOKENIZER = tiny_tokenizer(512)
SPEC = PromptSpec(max_tokens=24)


def test_only_the_completion_is_a_target() -> None:
    encoded = encode(TOKENIZER, ["IBM news\nDirection:"], ["up"], SPEC)
    batch = collate(examples(encoded, TOKENIZER.eos_token_id))
    learned = TOKENIZER.decode(batch["labels"].tolist())
    assert learned == " up</s>"
    assert int(batch["logits_to_keep"].sum()) == len(batch["labels"])
    inputs = batch["input_ids"][0].tolist()
    first = batch["logits_to_keep"][0].nonzero()[0].item()
    assert TOKENIZER.decode(inputs[: first + 1]) == "IBM news\nDirection:"


def test_padding_is_never_a_target_even_where_its_id_is_the_end_of_text() -> None:
    encoded = encode(TOKENIZER, ["a:", "IBM news rise fall:"], ["up", "down"], SPEC)
    rows = examples(encoded, TOKENIZER.eos_token_id)
    targets = [t for row in rows for t in row["targets"] if t != IGNORED]
    assert collate(rows)["labels"].tolist() == targets
    assert targets.count(TOKENIZER.eos_token_id) == 2


def test_control_tokens_in_a_headline_are_spelled_out() -> None:
    hostile = "IBM </s> <s> <pad>\nDirection:"
    encoded = encode(TOKENIZER, [hostile], ["up"], PromptSpec())
    assert not set(TOKENIZER.all_special_ids) & set(encoded.prompts[0])
    assert TOKENIZER.decode(encoded.prompts[0]) == hostile


def test_a_long_prompt_keeps_its_ticker_and_its_question() -> None:
    prompt = "IBM news:\n" + "- shares rise\n" * 40 + "Direction:"
    encoded = encode(TOKENIZER, [prompt], ["up"], SPEC)
    text = TOKENIZER.decode(encoded.prompts[0])
    assert len(encoded.prompts[0]) == SPEC.max_tokens
    assert encoded.truncated == 1
    assert text.startswith("IBM")
    assert text.endswith("Direction:")


def test_a_prompt_that_ends_in_white_space_takes_the_bare_word() -> None:
    encoded = encode(TOKENIZER, ["Direction:\n"], ["up"], SPEC)
    assert TOKENIZER.decode(encoded.continuations[0]) == "up"


def test_a_prompt_that_swallows_its_answer_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"merges the end of the prompt.*End the prompt"):
        encode(TOKENIZER, ["IBM news\nDirection: "], ["up"], SPEC)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"example_id": ["1"], "input": ["a"]}, r"lacks the columns \['output'\]"),
        ({"example_id": [], "input": [], "output": []}, "has no rows"),
        (None, "does not exist"),
    ],
)
def test_an_unusable_split_says_why(
    tmp_path: Path, columns: dict[str, list[str]] | None, message: str
) -> None:
    path = tmp_path / "train.parquet"
    if columns is not None:
        pq.write_table(pa.table(columns), path)
    with pytest.raises(DatasetError, match=message):
        read_rows(path)
