"""P(up) from the likelihood of the two labels: one forward pass per prompt, nothing to parse."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tasks.training.base import load_base
from tasks.training.encoding import Encoded, Rows, encode, read_rows
from tasks.training.job import OnProgress, Progress, ScoreJob, ScoreResult
from tasks.training.preflight import preflight
from tasks.training.recipe import Recipe, TrainingError
from warehouse.storage.atomic import write_bytes, write_text

Floats = npt.NDArray[np.float64]
Report = Callable[[int, int, float], None]
"""Takes rows done, rows in all, prompt tokens per second so far."""


class AdapterError(TrainingError):
    """An adapter cannot be loaded; the message says why."""


@dataclass(frozen=True)
class LabelScores:
    """Natural-log probabilities of each label's text after each prompt, in row order."""

    logp_up: Floats
    logp_down: Floats
    truncated: int
    seconds: float
    tokens_per_second: float

    @property
    def p_up(self) -> Floats:
        """The likelihood of `up` normalised over the two labels: σ(logp_up - logp_down)."""
        p: Floats = 1.0 / (1.0 + np.exp(self.logp_down - self.logp_up))
        return p

    def label_ce(self, is_up: npt.NDArray[np.bool_]) -> float:
        """Mean cross-entropy in nats of the true label's tokens under the whole vocabulary."""
        return float(-np.where(is_up, self.logp_up, self.logp_down).mean())

    def pair_ce(self, is_up: npt.NDArray[np.bool_]) -> float:
        """Mean cross-entropy in nats of the true label among the two labels alone."""
        margin = np.where(is_up, self.logp_down - self.logp_up, self.logp_up - self.logp_down)
        return float(np.logaddexp(0.0, margin).mean())


def score_labels(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Rows,
    recipe: Recipe,
    report: Report = lambda done, total, speed: None,
) -> LabelScores:
    """Score both labels for every row, in length-sorted batches of about equal token counts.

    Where each label is one token both are read from one row of logits, at the prompt's end. For
    longer labels the prompt's keys and values are computed once and shared by both labels.
    """
    spec = recipe.prompt
    up = encode(tokenizer, rows.inputs, [spec.up] * len(rows), spec)
    down = encode(tokenizer, rows.inputs, [spec.down] * len(rows), spec)
    out = np.empty((len(rows), 2))
    started, tokens, done = time.perf_counter(), 0, 0
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for batch in length_batches(up.prompts, recipe.compute.score_batch_tokens):
            out[batch] = _score_batch(model, up, down, batch)
            tokens += sum(len(up.prompts[i]) for i in batch)
            done += len(batch)
            report(done, len(rows), tokens / (time.perf_counter() - started))
    model.train(was_training)
    seconds = time.perf_counter() - started
    return LabelScores(out[:, 0], out[:, 1], up.truncated, seconds, tokens / seconds)


def length_batches(prompts: Sequence[Sequence[int]], tokens: int) -> Iterator[list[int]]:
    """Positions of prompts, longest first, in batches of at most `tokens` padded tokens.

    Longest first: a batch that does not fit the memory fails at the start, not after an hour.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    start = 0
    while start < len(order):
        size = max(1, tokens // len(prompts[order[start]]))
        yield order[start : start + size]
        start += size


def _score_batch(
    model: PreTrainedModel, up: Encoded, down: Encoded, batch: list[int]
) -> npt.NDArray[np.float64]:
    """Log probabilities, shape (len(batch), 2): up, down."""
    answers = [[encoded.continuations[i] for i in batch] for encoded in (up, down)]
    longest = max(len(ids) for side in answers for ids in side)
    ids, mask = padded([up.prompts[i] for i in batch], next(model.parameters()).device)
    ends = mask.sum(1) - 1
    at_end = torch.zeros_like(mask, dtype=torch.bool)
    at_end[torch.arange(len(batch)), ends] = True
    output = model(input_ids=ids, attention_mask=mask, logits_to_keep=at_end, use_cache=longest > 1)
    first = output.logits.float().log_softmax(-1)
    columns = []
    for side in answers:
        heads = torch.tensor([answer[0] for answer in side], device=first.device)
        total = first.gather(1, heads[:, None])[:, 0]
        if max(map(len, side)) > 1:
            cache = copy.deepcopy(output.past_key_values)
            total = total + _rest_of_label(model, side, cache, mask)
        columns.append(total)
    return torch.stack(columns, 1).double().cpu().numpy()


def _rest_of_label(
    model: PreTrainedModel, answers: list[tuple[int, ...]], cache: object, prompt_mask: torch.Tensor
) -> torch.Tensor:
    """Log probability of each label's tokens after its first, given the cached prompts."""
    ids, mask = padded(answers, prompt_mask.device)
    lengths = prompt_mask.sum(1, keepdim=True)
    output = model(
        input_ids=ids[:, :-1],
        attention_mask=torch.cat([prompt_mask, mask[:, :-1]], 1),
        position_ids=lengths + torch.arange(ids.shape[1] - 1, device=ids.device),
        past_key_values=cache,
        use_cache=True,
    )
    logp = output.logits.float().log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
    total: torch.Tensor = (logp * mask[:, 1:]).sum(1)
    return total


def padded(
    rows: Sequence[Sequence[int]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids padded on the right and their mask. What the padding is never matters: it is masked."""
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return ids.to(device), mask.to(device)


def run_score(job: ScoreJob, on_progress: OnProgress) -> ScoreResult:
    """Carry out a ScoreJob in this process."""
    rows = read_rows(job.dataset, job.split)
    preflight(job.recipe)
    on_progress(Progress(stage="load", done=0, total=1))
    base = load_base(job.recipe, job.cache)
    model = load_adapter(base.model, job.adapter) if job.adapter else base.model
    disabled = job.adapter and job.adapter_disabled
    with model.disable_adapter() if disabled else nullcontext():
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
    is_up = np.array([output == recipe.prompt.up for output in rows.outputs])
    labelled = {recipe.prompt.up, recipe.prompt.down}.issuperset(rows.outputs)
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
    write_text(job.folder / "result.json", result.model_dump_json(indent=2) + "\n")
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
    content = pa.BufferOutputStream()
    pq.write_table(table, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue().to_pybytes())
