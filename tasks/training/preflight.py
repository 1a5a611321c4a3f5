"""Preflight checks before gigabytes are downloaded: a GPU, memory, a token, bitsandbytes."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import torch

from tasks.training.base import BaseModelError
from tasks.training.devices import detect
from tasks.training.plan import model_parameters, plan, require_fit
from tasks.training.recipe import HubBase, Recipe, TrainingError

CPU_PARAMETERS = 1_000_000_000
"""The largest base that is worth training on a CPU: beyond it a step takes minutes."""


class DeviceError(TrainingError):
    """The recipe needs hardware or a driver that is not there."""


def preflight(recipe: Recipe, dataset: Path | None = None) -> None:
    """Check the machine before anything large is loaded; for a fine-tune on `dataset`, its memory.

    Raises DeviceError, BaseModelError or PlanError, each with the way out.
    """
    parameters = model_parameters(recipe.base.shape)
    if not torch.cuda.is_available() and parameters > CPU_PARAMETERS:
        raise DeviceError(
            f"Recipe {recipe.name} has {parameters / 1e9:.1f} billion parameters and "
            "needs a CUDA GPU, but torch sees none. Run it on a GPU (a free Colab T4 will do: "
            "`newsvane bundle export`), install a CUDA build of torch, or take smollm2-135m."
        )
    if dataset is not None:
        require_fit(plan(recipe, dataset, detect(use_gpu=torch.cuda.is_available())))
    require_quantization(recipe)
    require_access(recipe)


def require_quantization(recipe: Recipe) -> None:
    """Raise DeviceError if the recipe needs bitsandbytes and it cannot quantize here."""
    if recipe.compute.quantization == "none":
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

        probe = torch.linspace(-1, 1, 256, device=device).reshape(4, 64)
        packed, state = quantize_4bit(probe, quant_type="nf4")
        error = (dequantize_4bit(packed, state) - probe).abs().max().item()
    except Exception as failure:
        raise DeviceError(
            f"Recipe {recipe.name} quantizes to 4 bits, but bitsandbytes does not work on this "
            f"{device}: {str(failure).splitlines()[0]}. Install a bitsandbytes built for this "
            "CUDA version (pip install --upgrade bitsandbytes), or set compute.quantization: none."
        ) from failure
    if not error < 0.2:
        raise DeviceError(
            f"bitsandbytes on this {device} returns wrong numbers: a 4-bit round trip is off by "
            f"{error:.2f}, expected less than 0.2. Install the version in constraints.txt."
        )


def require_access(recipe: Recipe) -> None:
    """Raise BaseModelError if the base is gated and neither a token nor a local copy is there."""
    base = recipe.base
    if not isinstance(base, HubBase) or not base.gated or huggingface_hub.get_token():
        return
    look_up = huggingface_hub.try_to_load_from_cache
    if isinstance(look_up(base.name, "config.json", revision=base.revision), str):
        return
    raise BaseModelError(
        f"{base.name} is gated and no Hugging Face token was found. Accept its licence "
        f"({base.licence}) on the model's page, make a read token in your account's settings, and "
        "set HF_TOKEN or run `hf auth login`. Recipes without a gate: qwen3-4b, qwen3-8b, "
        "smollm2-135m."
    )
