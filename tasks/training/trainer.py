"""The transformers Trainer with our evaluation, progress reports and repeatable row order."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch.utils.data import Sampler
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from tasks.training.base import LoadedBase
from tasks.training.encoding import Example
from tasks.training.job import OnProgress, Progress
from tasks.training.recipe import Recipe

POOL_BATCHES = 16
"""Rows are sorted by length within pools of this many batches: enough to pad little."""

PASSED_THROUGH = {
    "num_train_epochs",
    "gradient_accumulation_steps",
    "learning_rate",
    "weight_decay",
    "max_grad_norm",
    "logging_steps",
    "eval_steps",
}
"""Keys of the schedule that TrainingArguments takes as they are."""


def training_arguments(
    recipe: Recipe, base: LoadedBase, examples: int, folder: Path, seed: int
) -> TrainingArguments:
    """The recipe as TrainingArguments, for `examples` training examples (or packed bins)."""
    schedule, compute = recipe.schedule, recipe.compute
    steps = optimiser_steps(recipe, examples, PartialState().num_processes)
    on_gpu = base.device.type == "cuda"
    stops_early = schedule.early_stopping_patience is not None
    save_steps = schedule.eval_steps if stops_early else schedule.save_steps
    return TrainingArguments(
        **schedule.model_dump(include=PASSED_THROUGH),
        output_dir=str(folder / "checkpoints"),
        per_device_train_batch_size=schedule.batch_size,
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(schedule.warmup_ratio * steps),
        optim="adamw_torch",
        bf16=on_gpu and base.dtype == torch.bfloat16,
        fp16=on_gpu and base.dtype == torch.float16,
        use_cpu=not on_gpu,
        activation_checkpointing=compute.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        logging_strategy="steps",
        eval_strategy="steps" if schedule.eval_steps else "no",
        save_strategy="steps" if save_steps else "no",
        save_steps=save_steps or steps,
        save_total_limit=2,
        load_best_model_at_end=stops_early,
        metric_for_best_model="eval_label_ce" if stops_early else None,
        greater_is_better=False if stops_early else None,
        seed=seed,
        data_seed=seed,
        remove_unused_columns=False,
        dataloader_pin_memory=on_gpu,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
    )


def optimiser_steps(recipe: Recipe, examples: int, processes: int) -> int:
    """How many optimiser steps a run over `examples` examples (or packed bins) takes."""
    schedule = recipe.schedule
    batches = math.ceil(examples / (schedule.batch_size * processes))
    per_epoch = max(1, math.ceil(batches / schedule.gradient_accumulation_steps))
    return math.ceil(schedule.num_train_epochs * per_epoch)


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


class CompletionTrainer(Trainer):  # type: ignore[misc]  # transformers is untyped here
    """A Trainer that takes rows in the given order and evaluates with the given measure.

    Its own length grouping draws from the global generator, whose state at the start of a later
    epoch a resumed run cannot know.
    """

    def __init__(
        self, *, order: EpochOrder, measure: Callable[[Any], dict[str, float]], **options: Any
    ) -> None:
        super().__init__(**options)
        self._order = order
        self._measure = measure

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
        return self._order

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure, log and notify the callbacks: names are prefixed with `eval_`.

        Every process measures the same rows, through the wrapped model: a sharded one can only be
        called by all, and whole.
        """
        self.model_wrapped.eval()
        measured = self._measure(self.model_wrapped)
        metrics = {f"eval_{name}": value for name, value in measured.items()}
        self.log(dict(metrics))
        self.control: TrainerControl = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


class ProgressReporter(TrainerCallback):  # type: ignore[misc]
    """Turns the Trainer's logs into Progress lines and keeps the loss curve."""

    def __init__(self, on_progress: OnProgress, tokens_per_step: float) -> None:
        self._on_progress = on_progress
        self._tokens_per_step = tokens_per_step
        self._started = 0.0
        self._first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._started, self._first_step = time.perf_counter(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        steps = max(1, state.global_step - self._first_step)
        pace = (time.perf_counter() - self._started) / steps
        known = ("loss", "learning_rate", "grad_norm", "eval_label_ce", "eval_completion_ce")
        metrics = {name: float(logs[name]) for name in known if name in logs}
        self._on_progress(
            Progress(
                stage="train",
                done=state.global_step,
                total=state.max_steps,
                eta=pace * (state.max_steps - state.global_step),
                metrics={**metrics, "tokens_per_second": self._tokens_per_step / pace},
            )
        )


def build_trainer(
    model: Any,
    arguments: TrainingArguments,
    examples: Sequence[Example],
    collate: Callable[[Sequence[Example]], dict[str, Any]],
    measure: Callable[[Any], dict[str, float]],
    patience: int | None,
    by_length: bool,
    on_progress: OnProgress,
) -> CompletionTrainer:
    """A Trainer ready to `train()`."""
    lengths = [len(example["input_ids"]) for example in examples]
    rows_per_step = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps
    batch = arguments.per_device_train_batch_size * arguments.world_size
    reporter = ProgressReporter(on_progress, sum(lengths) / len(examples) * rows_per_step)
    callbacks: list[TrainerCallback] = [reporter]
    if patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=patience))
    return CompletionTrainer(
        model=model,
        args=arguments,
        train_dataset=examples,
        eval_dataset=examples[:1],
        data_collator=collate,
        callbacks=callbacks,
        order=EpochOrder(lengths, batch, arguments.seed, by_length),
        measure=measure,
    )
