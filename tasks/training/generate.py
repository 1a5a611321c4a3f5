"""Free-text answers, for comparison with label likelihoods: slower, and they must be parsed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tasks.training.base import load_base
from tasks.training.encoding import Rows, encode, read_rows
from tasks.training.job import GenerateJob, GenerateResult, Progress, split_path
from tasks.training.likelihood import length_batches, padded
from tasks.training.preflight import preflight
from tasks.training.recipe import PromptSpec, Recipe
from tasks.training.result_files import write_atomically
from tasks.training.score import load_adapter

OnProgress = Callable[[Progress], None]


def run_generate(job: GenerateJob, on_progress: OnProgress) -> GenerateResult:
    """Carry out a GenerateJob in this process."""
    rows = read_rows(split_path(job.dataset, job.split))
    preflight(job.recipe)
    base = load_base(job.recipe, job.cache)
    model = load_adapter(base.model, job.adapter) if job.adapter else base.model
    started = time.perf_counter()
    texts = generate(model, base.tokenizer, rows, job.recipe, job.max_new_tokens, on_progress)
    seconds = time.perf_counter() - started
    labels = [parse(text, job.recipe.prompt) for text in texts]
    path = job.folder / "answers.parquet"
    table = pa.table(
        {
            "example_id": list(rows.example_ids),
            "text": texts,
            "label": pa.array(labels, pa.string()),
        }
    )
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    pq.write_table(table, partial)
    partial.rename(path)
    right = sum(label == output for label, output in zip(labels, rows.outputs, strict=True))
    result = GenerateResult(
        model_id=job.model_id,
        split=job.split,
        path=path,
        rows=len(rows),
        unparsed=labels.count(None),
        accuracy=right / len(rows),
        seconds=seconds,
    )
    write_atomically(job.folder / "result.json", result.model_dump_json(indent=2) + "\n")
    return result


def parse(text: str, prompt: PromptSpec) -> str | None:
    """The one label that `text` names as a word of its own; None if it names neither or both."""
    named = {
        word
        for word in (prompt.up, prompt.down)
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)
    }
    return named.pop() if len(named) == 1 else None


@torch.inference_mode()
def generate(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Rows,
    recipe: Recipe,
    max_new_tokens: int,
    on_progress: OnProgress = lambda progress: None,
) -> list[str]:
    """The greedy continuation of every prompt, at most `max_new_tokens` tokens, in row order."""
    encoded = encode(tokenizer, rows.inputs, [recipe.prompt.up] * len(rows), recipe.prompt)
    answers = [""] * len(rows)
    done = 0
    for batch in length_batches(encoded.prompts, recipe.compute.score_batch_tokens):
        ids, mask = padded([encoded.prompts[i] for i in batch], model.device, side="left")
        made = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            use_cache=True,
            pad_token_id=tokenizer.pad_token_id,
        )
        texts = tokenizer.batch_decode(made[:, ids.shape[1] :], skip_special_tokens=True)
        for position, text in zip(batch, texts, strict=True):
            answers[position] = text
        done += len(batch)
        on_progress(Progress(stage="generate", done=done, total=len(rows)))
    return answers
