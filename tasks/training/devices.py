"""Hardware detection: what this machine could train on, without a deep-learning library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Literal

GIB = 2**30


@dataclass(frozen=True)
class Device:
    """One GPU, or the CPU cores of this process.

    `flops` is the dense matrix rate at 16-bit precision in operations a second: the vendor's
    figure for a GPU, what was measured per core for a CPU. `utilisation` is the share of it that
    a LoRA step of this package is expected to reach.
    """

    kind: Literal["cuda", "cpu"]
    name: str
    memory: int
    flops: float
    utilisation: float
    bfloat16: bool


_GPU_TFLOPS = {
    "H200": 989.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "A10G": 70.0,
    "A10": 125.0,
    "V100": 112.0,
    "T4": 65.0,
    "P100": 18.7,
    "RTX 4090": 165.0,
    "RTX 3090": 71.0,
    "RTX 3060": 51.0,
}
_UNKNOWN_GPU_TFLOPS = 40.0
_WITHOUT_BFLOAT16 = ("T4", "V100", "P100")
_GPU_UTILISATION = 0.3
_CORE_FLOPS = {True: 1.0e11, False: 4.5e10}


def gpu(name: str, memory: int) -> Device:
    """A GPU by its vendor name and memory in bytes; an unlisted one is taken for a slow one."""
    known = next((n for n in _GPU_TFLOPS if re.search(rf"\b{n}\b", name)), None)
    return Device(
        kind="cuda",
        name=name,
        memory=memory,
        flops=1e12 * (_GPU_TFLOPS[known] if known else _UNKNOWN_GPU_TFLOPS),
        utilisation=_GPU_UTILISATION,
        bfloat16=known not in _WITHOUT_BFLOAT16,
    )


def cpu(cores: int, memory: int, bfloat16: bool) -> Device:
    """CPU cores; `bfloat16` says whether they multiply in it (AVX-512 BF16 or AMX)."""
    return Device("cpu", f"{cores} CPU cores", memory, cores * _CORE_FLOPS[bfloat16], 1.0, bfloat16)


def detect(*, use_gpu: bool = True) -> Device:
    """The first GPU that `nvidia-smi` lists, else the CPU with the memory now available.

    `use_gpu=False` leaves GPUs out: torch may be built without support for the one there is.
    """
    return (_first_gpu() if use_gpu else None) or cpu(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        memory=_available_memory(),
        bfloat16=bool(re.search(r"avx512_bf16|amx_bf16", _read("/proc/cpuinfo"))),
    )


def _first_gpu() -> Device | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    if answer.returncode != 0 or not answer.stdout.strip():
        return None
    name, mebibytes = answer.stdout.splitlines()[0].rsplit(",", 1)
    return gpu(name.strip(), int(mebibytes) * 2**20)


def _available_memory() -> int:
    found = re.search(r"MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"))
    if found:
        return int(found[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  (a kernel file)
            return file.read()
    except OSError:
        return ""
