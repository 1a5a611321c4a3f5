"""Resource estimate: memory and time of a fine-tune, worked out before anything is loaded.

Estimates, by the usual counts (Kaplan et al. 2020: 2 operations per parameter and token forward,
the same again backward through frozen weights; Korthikanti et al. 2022 for activations): good to
about a factor of two. This module loads no deep-learning library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.training.devices import GIB, Device, detect
from tasks.training.job import split_files
from tasks.training.recipe import ModelShape, Recipe, TrainingError

CHARACTERS_PER_TOKEN = 3.0
"""Of English headlines, on the low side: an estimate of tokens should rather be too high."""

_NF4_BYTES = 4.127 / 8
_BYTES_PER_TRAINED = 16
_RUNTIME_BYTES = {"cuda": 1.0 * GIB, "cpu": 0.6 * GIB}


class PlanError(TrainingError):
    """The job does not fit this machine; the message says by how much and what to do."""


@dataclass(frozen=True)
class Plan:
    """An estimate for one recipe, data set and device. Bytes and seconds."""

    recipe: str
    device: Device
    dtype: str
    parameters: int
    trained_parameters: int
    train_rows: int
    tokens_per_row: float
    steps: int
    weight_bytes: int
    adapter_bytes: int
    activation_bytes: int
    runtime_bytes: int
    train_seconds: float

    @property
    def peak_bytes(self) -> int:
        """Memory at the worst moment: weights, adapter with its optimiser, activations, runtime."""
        return self.weight_bytes + self.adapter_bytes + self.activation_bytes + self.runtime_bytes

    @property
    def fits(self) -> bool:
        """Whether the peak leaves a tenth of the device's memory free."""
        return self.peak_bytes <= 0.9 * self.device.memory

    def lines(self) -> tuple[str, ...]:
        """The plan for a reader, one fact a line."""
        return (
            f"{self.recipe}: {self.parameters / 1e6:,.0f}M parameters, "
            f"{self.trained_parameters / 1e6:,.2f}M of them trained, {self.dtype}",
            f"{self.train_rows:,} rows of about {self.tokens_per_row:.0f} tokens, "
            f"{self.steps:,} steps",
            f"memory: {self.peak_bytes / GIB:.1f} GiB (weights {self.weight_bytes / GIB:.1f}, "
            f"adapter and optimiser {self.adapter_bytes / GIB:.1f}, activations "
            f"{self.activation_bytes / GIB:.1f}) of {self.device.memory / GIB:.1f} GiB on "
            f"{self.device.name}: {'fits' if self.fits else 'does not fit'}",
            f"time: about {_duration(self.train_seconds)} of training",
        )


def plan(recipe: Recipe, dataset: Path, device: Device | None = None) -> Plan:
    """Estimate a FinetuneJob's memory and training time on `device` (default: this machine's)."""
    device = device or detect()
    shape, schedule, compute = recipe.base.shape, recipe.schedule, recipe.compute
    rows, tokens = _rows_and_tokens(recipe, dataset)
    lines = math.ceil(rows * tokens / compute.pack_tokens) if compute.packing else rows
    width = compute.pack_tokens if compute.packing else tokens
    batches = math.ceil(lines / schedule.batch_size)
    dtype = _dtype(recipe, device)
    trained = adapter_parameters(recipe)
    parameters = model_parameters(shape)
    in_batch = schedule.batch_size * width
    passes = 6 if compute.gradient_checkpointing else 4
    flops = schedule.num_train_epochs * rows * tokens * (passes * parameters + 6 * trained)
    slower = 1.0 if dtype != "float32" or device.kind == "cuda" else 1.9
    return Plan(
        recipe=recipe.name,
        device=device,
        dtype=f"{compute.quantization} with {dtype}" if compute.quantization != "none" else dtype,
        parameters=parameters,
        trained_parameters=trained,
        train_rows=rows,
        tokens_per_row=tokens,
        steps=math.ceil(
            schedule.num_train_epochs * math.ceil(batches / schedule.gradient_accumulation_steps)
        ),
        weight_bytes=weight_bytes(recipe, dtype),
        adapter_bytes=_BYTES_PER_TRAINED * trained,
        activation_bytes=activation_bytes(recipe, in_batch, in_batch / tokens, dtype),
        runtime_bytes=int(_RUNTIME_BYTES[device.kind]),
        train_seconds=flops / (device.flops * device.utilisation) * slower,
    )


def require_fit(estimate: Plan) -> None:
    """Raise PlanError if the plan's peak does not fit its device."""
    if estimate.fits:
        return
    raise PlanError(
        f"Recipe {estimate.recipe} needs about {estimate.peak_bytes / GIB:.1f} GiB, but "
        f"{estimate.device.name} offers {estimate.device.memory / GIB:.1f} GiB. Lower "
        "schedule.batch_size (and raise schedule.gradient_accumulation_steps), set "
        "compute.gradient_checkpointing or compute.quantization: nf4, or take a smaller recipe."
    )


def model_parameters(shape: ModelShape) -> int:
    """Weights of a Llama-shaped decoder, embeddings once if they are tied."""
    embeddings = shape.vocab_size * shape.hidden_size * (1 if shape.tie_word_embeddings else 2)
    norms = shape.hidden_size * (2 * shape.num_hidden_layers + 1)
    linear = sum(i * o for i, o in linear_sizes(shape).values())
    return embeddings + norms + shape.num_hidden_layers * linear


def linear_sizes(shape: ModelShape) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of each linear layer of one block, by name."""
    queries = shape.num_attention_heads * shape.head_dim
    keys = shape.num_key_value_heads * shape.head_dim
    return {
        "q_proj": (shape.hidden_size, queries),
        "k_proj": (shape.hidden_size, keys),
        "v_proj": (shape.hidden_size, keys),
        "o_proj": (queries, shape.hidden_size),
        "gate_proj": (shape.hidden_size, shape.intermediate_size),
        "up_proj": (shape.hidden_size, shape.intermediate_size),
        "down_proj": (shape.intermediate_size, shape.hidden_size),
    }


def adapter_parameters(recipe: Recipe) -> int:
    """Weights of the recipe's LoRA: rank x (inputs + outputs) per target layer."""
    sizes = linear_sizes(recipe.base.shape)
    per_block = sum(sum(sizes[name]) for name in recipe.lora.target_modules if name in sizes)
    return recipe.base.shape.num_hidden_layers * recipe.lora.r * per_block


def weight_bytes(recipe: Recipe, dtype: str) -> int:
    """The frozen base. NF4 with doubly quantized scales takes 4.127 bits, in linear layers only."""
    shape = recipe.base.shape
    size = 4 if dtype == "float32" else 2
    linear = shape.num_hidden_layers * sum(i * o for i, o in linear_sizes(shape).values())
    per_linear = _NF4_BYTES if recipe.compute.quantization == "nf4" else size
    return int(linear * per_linear + (model_parameters(shape) - linear) * size)


def activation_bytes(recipe: Recipe, tokens: float, rows: float, dtype: str) -> int:
    """What the backward pass must keep of one batch, and the logits at completion positions.

    Per token and block, in units of one activation: both norms' inputs and outputs with the
    former's float32 copies, queries, keys, values, attention output, four of the MLP's width,
    and a float32 copy of each LoRA input. Checkpointing keeps one hidden state per block, and one
    block in full.
    """
    shape = recipe.base.shape
    size = 4 if dtype == "float32" else 2
    sizes = linear_sizes(shape)
    attention = 2 * sizes["q_proj"][1] + 2 * sizes["k_proj"][1]
    lora_inputs = sum(sizes[name][0] for name in recipe.lora.target_modules if name in sizes)
    block = size * (4 * shape.hidden_size + attention + 4 * shape.intermediate_size)
    block += 4 * (4 * shape.hidden_size + lora_inputs)
    kept = shape.num_hidden_layers * block
    if recipe.compute.gradient_checkpointing:
        kept = shape.num_hidden_layers * size * shape.hidden_size + block
    logits = rows * 2 * shape.vocab_size * (size + 8)
    return int(tokens * kept + logits)


def _rows_and_tokens(recipe: Recipe, dataset: Path) -> tuple[int, float]:
    """Training rows after the recipe's cap, and mean tokens of prompt and answer."""
    files = split_files(dataset, "train")
    if not files:
        raise PlanError(
            f"The data set {dataset} has no train.parquet, so nothing can be planned. Build the "
            "data set first."
        )
    inputs = pa.concat_tables(pq.read_table(file, columns=["input"]) for file in files)["input"]
    mean = pc.mean(pc.utf8_length(inputs)).as_py() or 0.0
    tokens = min(mean / CHARACTERS_PER_TOKEN, recipe.prompt.max_tokens) + 2
    return min(len(inputs), recipe.schedule.train_rows or len(inputs)), tokens


def _dtype(recipe: Recipe, device: Device) -> str:
    if recipe.compute.dtype != "auto":
        return recipe.compute.dtype
    if device.bfloat16:
        return "bfloat16"
    return "float16" if device.kind == "cuda" else "float32"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
