"""An adapter folded into its base: one plain model that any runtime loads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import torch

from tasks.training.base import load_base
from tasks.training.job import MergeJob, MergeResult, Progress
from tasks.training.preflight import preflight
from tasks.training.result_files import file_sha256, write_atomically
from tasks.training.score import load_adapter

OnProgress = Callable[[Progress], None]


def run_merge(job: MergeJob, on_progress: OnProgress) -> MergeResult:
    """Carry out a MergeJob: safetensors, tokenizer and config in `job.folder`.

    A quantised base is unpacked first and merged as it was trained against; merging into the
    4-bit weights would round the adapter away. The sum is made in float32 and stored in the
    recipe's dtype.
    """
    preflight(job.recipe)
    on_progress(Progress(stage="load", done=0, total=1))
    base = load_base(job.recipe, job.cache)
    model = base.model
    if job.recipe.compute.quantisation != "none":
        model = model.dequantize()
    model = model.to(torch.float32)
    merged = load_adapter(model, job.adapter).merge_and_unload().to(base.dtype)
    merged.hf_quantizer = None
    merged.config.use_cache = True
    weights = job.folder / "merged"
    partial = job.folder / f"merged.{os.getpid()}.partial"
    merged.save_pretrained(partial)
    base.tokenizer.save_pretrained(partial)
    shutil.rmtree(weights, ignore_errors=True)
    partial.rename(weights)
    result = MergeResult(
        model_id=job.adapter.name,
        path=weights,
        sha256={p.name: file_sha256(p) for p in sorted(weights.glob("*.safetensors"))},
    )
    write_atomically(job.folder / "result.json", result.model_dump_json(indent=2) + "\n")
    return result
