"""Model card and manifest of an adapter: what stays of a training run."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import resource
import sys

import torch
import yaml

from tasks.training.base import LoadedBase
from tasks.training.job import FinetuneResult
from tasks.training.recipe import Recipe
from warehouse.storage.atomic import file_sha256, write_text

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "newsvane")


def environment(base: LoadedBase) -> dict[str, str]:
    """Versions, device, precision and threads: what a rerun needs to give the same weights."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    gpu = torch.cuda.get_device_name(base.device) if base.device.type == "cuda" else None
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": gpu or f"CPU {platform.machine()}",
        "dtype": str(base.dtype).removeprefix("torch."),
        "threads": str(torch.get_num_threads()),
        **versions,
    }


def peak_memory(device: torch.device) -> int:
    """The most memory in bytes this process has held: of the GPU, or resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kibibytes if sys.platform == "darwin" else kibibytes * 1024


def write_artefact(result: FinetuneResult, recipe: Recipe) -> None:
    """Write README.md (the model card) and then manifest.json into the adapter's folder."""
    (result.path / "README.md").write_text(model_card(result, recipe), encoding="utf-8")
    files = sorted(p for p in result.path.glob("*") if p.is_file() and p.suffix != ".log")
    manifest = {
        **result.model_dump(mode="json", exclude={"path", "scores", "kind"}),
        "files": {p.name: file_sha256(p) for p in files if p.name != "manifest.json"},
    }
    write_text(result.path / "manifest.json", json.dumps(manifest, indent=2) + "\n")


def model_card(result: FinetuneResult, recipe: Recipe) -> str:
    """The card in the hub's format: front matter, what it is, how it was made, how good it is."""
    metrics = result.metrics
    front = yaml.safe_dump(
        {
            "base_model": recipe.base.name,
            "library_name": "peft",
            "license": recipe.base.licence.lower(),
            "tags": ["lora", "newsvane", "stock-direction"],
        },
        sort_keys=True,
    )
    before, after = metrics["validation_before"], metrics["validation_after"]
    rows = "\n".join(
        f"| {title} | {before[key]:.4f} | {after[key]:.4f} |"
        for key, title in (
            ("label_ce", "label tokens"),
            ("completion_ce", "whole completion"),
            ("pair_ce", "the label, of the two allowed"),
        )
    )
    return f"""---
{front}---
# {recipe.name} on data set {result.dataset_id}

A LoRA adapter (rank {recipe.lora.r}) for {recipe.base.name} that continues a prompt of a
ticker's headlines with "{recipe.prompt.up}" or "{recipe.prompt.down}": the direction of the price
over the label window of the data set. Model {result.model_id}, seed {result.seed}.

Read P({recipe.prompt.up}) from the likelihoods of the two words at the end of the prompt, not from
generated text. Validation cross-entropy in nats per row, on {metrics["validation_rows"]} rows:

| on | before | after |
|---|---|---|
{rows}

Trained on {metrics["train_rows"]} rows in {metrics["steps"]} steps
({metrics["train_seconds"]:.0f} s, {metrics["tokens_per_second"]:.0f} tokens/s,
{result.environment["device"]}, {result.environment["dtype"]}), with the loss on the completion
alone. The full recipe and all versions are in manifest.json.

A lower cross-entropy is no evidence of an edge in a market. Whether the model beats its baselines
is for an evaluation on data that neither has seen; this is not investment advice.
"""
