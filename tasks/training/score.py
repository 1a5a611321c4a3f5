"""Score one split with a model and write the scores to Parquet."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tasks.training.base import load_base
from tasks.training.encoding import Rows, read_rows
from tasks.training.job import Progress, ScoreJob, ScoreResult, split_path
from tasks.training.likelihood import LabelScores, score_labels
from tasks.training.preflight import preflight
from tasks.training.recipe import TrainingError
from tasks.training.result_files import write_atomically

OnProgress = Callable[[Progress], None]


class AdapterError(TrainingError):
    """An adapter cannot be loaded; the message says why."""


def run_score(job: ScoreJob, on_progress: OnProgress) -> ScoreResult:
    """Carry out a ScoreJob in this process."""
    rows = read_rows(split_path(job.dataset, job.split))
    preflight(job.recipe)
    on_progress(Progress(stage="load", done=0, total=1))
    base = load_base(job.recipe, job.cache)
    model = load_adapter(base.model, job.adapter) if job.adapter else base.model
    aside = model.disable_adapter() if job.adapter and job.set_aside else nullcontext()
    with aside:
        return score_split(model, base.tokenizer, rows, job, on_progress)


def load_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """The model with the adapter of `folder` on it. Raises AdapterError.

    Only `adapter_model.safetensors` is read; pickled weights can run code and are refused.
    """
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file() or not (folder / "adapter_config.json").is_file():
        pickled = sorted(p.name for p in folder.glob("*") if p.suffix in {".bin", ".pt", ".pth"})
        raise AdapterError(
            f"The folder {folder.name} holds no adapter: expected adapter_config.json and "
            f"adapter_model.safetensors, got {pickled or 'neither'}. Pickled weights are never "
            "loaded; save the adapter as safetensors."
        )
    return PeftModel.from_pretrained(model, folder, use_safetensors=True).eval()


def score_split(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Rows,
    job: ScoreJob,
    on_progress: OnProgress,
) -> ScoreResult:
    """Score every row with a model at hand and leave the scores and `result.json` in `job.folder`.

    See ScoreResult for the columns.
    """
    recipe, path = job.recipe, job.folder / "scores.parquet"
    stage = f"score {job.split} with {job.model_id}"

    def report(done: int, total: int, speed: float) -> None:
        on_progress(
            Progress(stage=stage, done=done, total=total, metrics={"tokens_per_second": speed})
        )

    scores = score_labels(model, tokenizer, rows, recipe, report)
    write_scores(path, rows, scores)
    words = {recipe.prompt.up, recipe.prompt.down}
    is_up = np.array([output == recipe.prompt.up for output in rows.outputs])
    labelled = words.issuperset(rows.outputs)
    result = ScoreResult(
        model_id=job.model_id,
        split=job.split,
        path=path,
        rows=len(rows),
        truncated=scores.truncated,
        label_ce=scores.label_ce(is_up) if labelled else None,
        pair_ce=scores.pair_ce(is_up) if labelled else None,
        seconds=scores.seconds,
        tokens_per_second=scores.tokens_per_second,
    )
    write_atomically(job.folder / "result.json", result.model_dump_json(indent=2) + "\n")
    return result


def write_scores(path: Path, rows: Rows, scores: LabelScores) -> None:
    """One row per example in the split's order; under its name only once complete."""
    table = pa.table(
        {
            "example_id": list(rows.example_ids),
            "p_up": scores.p_up,
            "logp_up": scores.logp_up,
            "logp_down": scores.logp_down,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    pq.write_table(table, partial)
    partial.rename(path)
