"""Fine-tuning: a LoRA adapter on a frozen base, with loss on the completion alone."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed
from transformers.trainer_utils import get_last_checkpoint

from tasks.training.base import LoadedBase, load_base
from tasks.training.encoding import (
    DatasetError,
    Example,
    Rows,
    collate,
    encode,
    examples,
    pack,
    read_rows,
)
from tasks.training.environment import environment, peak_memory
from tasks.training.job import (
    FinetuneJob,
    FinetuneResult,
    OnProgress,
    Progress,
    ScoreResult,
    Split,
    dataset_id,
)
from tasks.training.model_card import write_artefact
from tasks.training.preflight import preflight
from tasks.training.recipe import Recipe
from tasks.training.scoring import length_batches, load_adapter, score_labels, score_split
from tasks.training.trainer import build_trainer, training_arguments
from warehouse.storage.atomic import file_sha256, write_text


def run_finetune(job: FinetuneJob, on_progress: OnProgress) -> FinetuneResult | None:
    """Carry out a FinetuneJob in this process; a killed run goes on from its last checkpoint.

    Of several processes that share the job all train, and the first measures and has the result.
    """
    recipe, folder = job.recipe, job.folder
    train = labelled_sample(job, "train", recipe.schedule.train_rows)
    validation = labelled_sample(job, "validation", recipe.schedule.validation_rows)
    preflight(recipe, job.dataset)
    on_progress(Progress(stage="load", done=0, total=1))
    base = load_base(recipe, job.cache)
    set_seed(job.seed)
    first = PartialState().is_main_process
    before = validation_ce(base.model, base.tokenizer, validation, recipe) if first else {}
    scores = _score(job, base.model, base.tokenizer, None, on_progress) if first else []
    model = add_adapter(base, recipe, job.seed)
    fitted = fit(model, base, train, validation, job, on_progress)
    if not first:
        return None
    if job.accelerate_config:  # its weights may be spread over the GPUs: measure a whole copy
        model = load_adapter(load_base(recipe, job.cache).model, folder)
    after = validation_ce(model, base.tokenizer, validation, recipe)
    scores += _score(job, model, base.tokenizer, folder, on_progress)
    result = FinetuneResult(
        model_id=job.model_id,
        dataset_id=dataset_id(job.dataset),
        recipe_name=recipe.name,
        base_model=recipe.base.name,
        adapter_sha256=file_sha256(folder / "adapter_model.safetensors"),
        path=folder,
        seed=job.seed,
        recipe=recipe.model_dump(mode="json"),
        environment=environment(base),
        metrics={
            "train_rows": len(train),
            "validation_rows": len(validation),
            "validation_ce_before": before["label_ce"],
            "validation_ce_after": after["label_ce"],
            "validation_before": before,
            "validation_after": after,
            "peak_memory_bytes": peak_memory(base.device),
            **fitted,
        },
        scores=tuple(scores),
    )
    write_artefact(result, recipe)
    write_text(folder / "result.json", result.model_dump_json(indent=2) + "\n")
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return result


def labelled_sample(job: FinetuneJob, split: Split, limit: int | None) -> Rows:
    """At most `limit` rows of a split, drawn evenly by the job's seed, in the split's order.

    Raises DatasetError if a row's output is not one of the recipe's two labels.
    """
    rows = read_rows(job.dataset, split)
    unknown = sorted(set(rows.outputs) - {job.recipe.prompt.up, job.recipe.prompt.down})
    if unknown:
        raise DatasetError(
            f"The split {split} has outputs that recipe {job.recipe.name} does not know: expected "
            f"{job.recipe.prompt.up!r} or {job.recipe.prompt.down!r}, got {unknown[:3]}. Set "
            "prompt.up and prompt.down in the recipe to the data set's own labels."
        )
    if limit is None or len(rows) <= limit:
        return rows
    draw = random.Random(job.seed)  # noqa: S311  (a draw, not a secret)
    return rows.take(sorted(draw.sample(range(len(rows)), limit)))


def add_adapter(base: LoadedBase, recipe: Recipe, seed: int) -> PeftModel:
    """The base with a fresh LoRA adapter on it; only the adapter's weights (float32) will learn.

    A fresh adapter changes nothing: its second matrix is zero. A quantized base keeps its 16-bit
    norms and head, as scoring will load them; peft's k-bit preparation would turn them to float32.
    """
    set_seed(seed)
    lora = recipe.lora.model_dump(mode="json")
    return get_peft_model(base.model, LoraConfig(task_type="CAUSAL_LM", **lora))


def training_examples(
    tokenizer: PreTrainedTokenizerBase, rows: Rows, recipe: Recipe, seed: int
) -> list[Example]:
    """The rows as examples, or as packed bins if the recipe says so."""
    encoded = encode(tokenizer, rows.inputs, rows.outputs, recipe.prompt)
    made = examples(encoded, tokenizer.eos_token_id if recipe.prompt.end_of_text else None)
    return pack(made, recipe.compute.pack_tokens, seed) if recipe.compute.packing else made


def fit(
    model: PeftModel,
    base: LoadedBase,
    train: Rows,
    validation: Rows,
    job: FinetuneJob,
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Train in place and save the adapter. Returns the loss curve, speed and number of steps."""
    made = training_examples(base.tokenizer, train, job.recipe, job.seed)
    arguments = training_arguments(job.recipe, base, len(made), job.folder, job.seed)
    trainer = build_trainer(
        model,
        arguments,
        made,
        collate,
        measure=lambda m: validation_ce(m, base.tokenizer, validation, job.recipe),
        patience=job.recipe.schedule.early_stopping_patience,
        by_length=job.recipe.compute.group_by_length,
        on_progress=on_progress,
    )
    checkpoints = Path(arguments.output_dir)
    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    started = time.perf_counter()
    trainer.train(resume_from_checkpoint=last)
    seconds = time.perf_counter() - started
    trainer.save_model(str(job.folder))
    (job.folder / "training_args.bin").unlink(missing_ok=True)  # the Trainer's pickle: not ours
    history = trainer.state.log_history
    tokens = sum(len(e["input_ids"]) for e in made) * job.recipe.schedule.num_train_epochs
    return {
        "steps": trainer.state.global_step,
        "resumed_from": last and Path(last).name,
        "train_seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "loss_curve": [[h["step"], h["loss"]] for h in history if "loss" in h],
        "validation_curve": [
            [h["step"], h["eval_label_ce"]] for h in history if "eval_label_ce" in h
        ],
    }


@torch.inference_mode()
def validation_ce(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Rows,
    recipe: Recipe,
) -> dict[str, float]:
    """Mean cross-entropies of the true answers, in nats per row.

    `label_ce`: of the label's own tokens; `completion_ce`: of the label and the end of text that
    must follow it; `pair_ce`: of the label among the two labels alone.
    """
    scores = score_labels(model, tokenizer, rows, recipe)
    is_up = np.array([output == recipe.prompt.up for output in rows.outputs])
    encoded = encode(tokenizer, rows.inputs, rows.outputs, recipe.prompt)
    made = examples(encoded, tokenizer.eos_token_id)
    device = next(model.parameters()).device
    total = 0.0
    for batch in length_batches(encoded.prompts, recipe.compute.score_batch_tokens):
        inputs = collate([made[i] for i in batch])
        targets = inputs.pop("labels").to(device)
        del inputs["shift_labels"]
        logits = model(**{k: v.to(device) for k, v in inputs.items()}).logits
        total += torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum").item()
    return {
        "label_ce": scores.label_ce(is_up),
        "pair_ce": scores.pair_ce(is_up),
        "completion_ce": total / len(rows),
    }


def _score(
    job: FinetuneJob,
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    adapter: Path | None,
    on_progress: OnProgress,
) -> list[ScoreResult]:
    return [
        score_split(
            model,
            tokenizer,
            read_rows(job.dataset, split),
            job.score_job(split, adapter),
            on_progress,
        )
        for split in job.score
    ]
