"""Only completions are learned, and packed examples must not see each other."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tasks.training.base import LoadedBase, byte_pair_tokenizer, load_base
from tasks.training.encoding import (
    IGNORED,
    DatasetError,
    Example,
    collate,
    encode,
    examples,
    pack,
    read_rows,
)
from tasks.training.finetune import add_adapter
from tasks.training.job import split_sha256
from tasks.training.recipe import PromptSpec, Recipe
from warehouse.storage.atomic import file_sha256

TOKENIZER = byte_pair_tokenizer(512)
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
    tmp_path, columns: dict[str, list[str]] | None, message: str
) -> None:
    path = tmp_path / "train.parquet"
    if columns is not None:
        pq.write_table(pa.table(columns), path)
    with pytest.raises(DatasetError, match=message):
        read_rows(tmp_path, "train")


def test_monthly_files_are_read_and_named_like_the_split_they_are_of(tmp_path, dataset) -> None:
    whole = pq.read_table(dataset / "train.parquet")
    half = whole.num_rows // 2
    pq.write_table(whole.slice(half), tmp_path / "train-2019-04.parquet")
    pq.write_table(whole.slice(0, half), tmp_path / "train-2019-03.parquet")
    assert read_rows(tmp_path, "train") == read_rows(dataset, "train")
    before = split_sha256(tmp_path, "train")
    pq.write_table(whole.slice(half + 1), tmp_path / "train-2019-04.parquet")
    assert split_sha256(tmp_path, "train") != before
    assert split_sha256(dataset, "train") == file_sha256(dataset / "train.parquet")


@pytest.fixture
def base(tiny: Recipe, cache: Path) -> LoadedBase:
    return load_base(tiny, cache)


@pytest.fixture
def rows(base: LoadedBase, dataset: Path, tiny: Recipe) -> list[Example]:
    split = read_rows(dataset, "train").take(range(24))
    encoded = encode(base.tokenizer, split.inputs, split.outputs, tiny.prompt)
    return examples(encoded, base.tokenizer.eos_token_id)


def loss_and_gradients(
    base: LoadedBase, recipe: Recipe, batches: list[dict[str, torch.Tensor]]
) -> tuple[float, torch.Tensor]:
    model = add_adapter(base, recipe, seed=1)
    torch.manual_seed(2)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero in a fresh adapter, which would hide half the gradients
            torch.nn.init.normal_(parameter, std=0.05)
    total = sum(len(batch["labels"]) for batch in batches)
    loss = sum(model(**batch, num_items_in_batch=total).loss for batch in batches)
    loss.backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.requires_grad]
    return loss.item(), torch.cat(gradients)


def test_packed_and_one_by_one_losses_and_gradients_agree(base, cache, rows, tiny) -> None:
    bins = pack(rows, tokens=150, seed=3)
    assert len(bins) < len(rows) / 3
    assert sum(len(b["input_ids"]) for b in bins) == sum(len(r["input_ids"]) for r in rows)
    packed = loss_and_gradients(base, tiny, [collate(bins)])
    padded = loss_and_gradients(load_base(tiny, cache), tiny, [collate(rows)])
    alone = loss_and_gradients(load_base(tiny, cache), tiny, [collate([row]) for row in rows])
    assert packed[0] == pytest.approx(alone[0], rel=1e-5)
    assert padded[0] == pytest.approx(alone[0], rel=1e-5)
    torch.testing.assert_close(packed[1], alone[1], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(padded[1], alone[1], rtol=1e-3, atol=1e-5)


def logits(base: LoadedBase, example: Example) -> torch.Tensor:
    batch = collate([example])
    kept: torch.Tensor = base.model(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        logits_to_keep=batch["logits_to_keep"],
    ).logits
    return kept.detach()


def test_no_example_sees_its_neighbour_in_the_bin(base, rows) -> None:
    second = rows[1]
    targets = sum(t != -100 for t in second["targets"])

    def after(first: Example, restart: bool) -> torch.Tensor:
        joined = {name: [*first[name], *second[name]] for name in second}
        if not restart:
            joined["position_ids"] = list(range(len(joined["input_ids"])))
        return logits(base, joined)[-targets:]

    alone = logits(base, second)
    other = {**rows[0], "input_ids": rows[0]["input_ids"][::-1]}
    torch.testing.assert_close(after(rows[0], restart=True), alone)
    torch.testing.assert_close(after(other, restart=True), alone)
    leak = (after(rows[0], restart=False) - after(other, restart=False)).abs().max()
    assert leak > 1e-3, (
        "without restarting positions the neighbour must show, or this test is blind"
    )


def test_a_bin_never_overflows_and_a_seed_repeats_it(rows) -> None:
    bins = pack(rows, tokens=64, seed=5)
    assert all(len(b["input_ids"]) <= 64 for b in bins)
    assert bins == pack(rows, tokens=64, seed=5)
    assert bins != pack(rows, tokens=64, seed=6)
    longest = max(len(row["input_ids"]) for row in rows)
    lonely = pack(rows, tokens=1, seed=5)
    assert len(lonely) == len(rows)
    assert max(len(b["input_ids"]) for b in lonely) == longest
