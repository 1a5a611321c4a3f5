"""Environment of a training run: what a rerun needs, and the memory it took."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
import sys

import torch

from tasks.training.base import LoadedBase

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
