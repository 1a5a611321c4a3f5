"""Jobs for the training process and their results, as JSON: nothing here loads a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tasks.training.recipe import Recipe
from warehouse.storage.atomic import file_sha256

Split = Literal["train", "validation", "test", "final"]
Scored = Literal["train", "validation", "test"]
"""Splits that a fine-tune may score beside its training: the final holdout is none of them."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoreResult(_Document):
    """Where the scores of one split are.

    `path` is Parquet, one row per example in the split's order: example_id, p_up (the two labels'
    likelihoods normalised to one), logp_up, logp_down (natural log of the model's raw probability
    of each label). `label_ce` is the mean cross-entropy of the true label in nats: of p_up
    (`pair_ce`), and of the raw label tokens (`label_ce`); None where a row's output is neither.
    """

    kind: Literal["score"] = "score"
    model_id: str
    split: Split
    path: Path
    rows: int
    truncated: int
    label_ce: float | None
    pair_ce: float | None
    seconds: float
    tokens_per_second: float


class FinetuneResult(_Document):
    """One fine-tuned adapter: `path` is its folder (adapter, card, manifest.json).

    `metrics` holds `loss_curve` ([step, nats per completion token] pairs), `validation_curve`
    ([step, label_ce]), `validation_ce_before` and `_after` (of the label's tokens), the same for
    all measures (`validation_before`, `validation_after`), rows, steps, seconds,
    `tokens_per_second` and `peak_memory_bytes`.
    `scores` has each split of the job's `score`, by the base model and by the fine-tuned one.
    """

    kind: Literal["finetune"] = "finetune"
    model_id: str
    dataset_id: str
    recipe_name: str
    base_model: str
    adapter_sha256: str
    path: Path
    seed: int
    recipe: dict[str, Any]
    environment: dict[str, str]
    metrics: dict[str, Any]
    scores: tuple[ScoreResult, ...] = ()


class _Job(_Document):
    recipe: Recipe
    dataset: Path
    output: Path
    cache: Path
    threads: int | None = Field(default=None, ge=1)


class FinetuneJob(_Job):
    """Train an adapter on `dataset/train.parquet`; it lands in `output/MODEL_ID`.

    `cache` keeps converted base weights between jobs. Each split in `score` is also scored, by
    the base model and by the fine-tuned one, in the same process. Those scores are what ScoreJobs
    with `output=scores` would make (default: `scores` in the model's folder), and such a job finds
    them done.

    `processes` share the work, each with `batch_size` rows a step: on CPUs over gloo, on GPUs as
    `accelerate_config` says (see fsdp-qlora.accelerate.yaml beside the recipes).
    """

    kind: Literal["finetune"] = "finetune"
    seed: int = 0
    score: tuple[Scored, ...] = ()
    scores: Path | None = None
    processes: int = Field(default=1, ge=1)
    accelerate_config: Path | None = None

    @property
    def model_id(self) -> str:
        """Names the adapter by all that decides it: recipe, seed, training and validation rows."""
        return _digest(
            self.recipe.canonical(),
            self.seed,
            *(split_sha256(self.dataset, name) for name in ("train", "validation")),
            *([self.processes] if self.processes > 1 else []),
        )

    @property
    def folder(self) -> Path:
        """Where this job's adapter, scores and result are."""
        return self.output / self.model_id

    def score_job(self, split: Split, adapter: Path | None) -> ScoreJob:
        """The job that scores one split with the base model or this job's own adapter."""
        return ScoreJob(
            recipe=self.recipe,
            dataset=self.dataset,
            output=self.scores or self.folder / "scores",
            cache=self.cache,
            threads=self.threads,
            split=split,
            adapter=adapter,
        )


class ScoreJob(_Job):
    """Score one split with the base model (`adapter=None`) or an adapter's folder.

    With `adapter_disabled` the adapter is attached and then disabled: the base model's scores,
    unless attaching changed the base.

    The scores land in `output/JOB_ID`.
    """

    kind: Literal["score"] = "score"
    split: Split = "test"
    adapter: Path | None = None
    adapter_disabled: bool = False

    @property
    def model_id(self) -> str:
        """The adapter's folder name, or the base model's name."""
        if self.adapter is None or self.adapter_disabled:
            return self.recipe.base.name
        return self.adapter.name

    @property
    def folder(self) -> Path:
        """Where this job's scores and result are."""
        adapter = self.adapter and file_sha256(self.adapter / "adapter_model.safetensors")
        return self.output / _digest(
            [self.recipe.canonical("base", "prompt", "compute"), adapter],
            self.split,
            split_sha256(self.dataset, self.split),
            *(["adapter disabled"] if self.adapter_disabled else []),
        )


AnyJob = FinetuneJob | ScoreJob
AnyResult = FinetuneResult | ScoreResult
JOB: TypeAdapter[AnyJob] = TypeAdapter(Annotated[AnyJob, Field(discriminator="kind")])
RESULT: TypeAdapter[AnyResult] = TypeAdapter(Annotated[AnyResult, Field(discriminator="kind")])


class Progress(_Document):
    """One line of progress: `done` of `total` units of `stage`.

    `metrics` may carry loss, learning_rate, tokens_per_second, validation_ce; `eta` is in seconds.
    """

    event: Literal["progress"] = "progress"
    stage: str
    done: int
    total: int
    eta: float | None = None
    metrics: dict[str, float] = Field(default_factory=dict)


OnProgress = Callable[[Progress], None]


def split_path(dataset: Path, split: str) -> Path:
    """The Parquet file of one split of a data set that keeps it whole."""
    return dataset / f"{split}.parquet"


def split_files(dataset: Path, split: str) -> tuple[Path, ...]:
    """The Parquet files of one split, in order: the whole, or one per month; none if absent."""
    whole = split_path(dataset, split)
    return (whole,) if whole.is_file() else tuple(sorted(dataset.glob(f"{split}-????-??.parquet")))


def split_sha256(dataset: Path, split: str) -> str:
    """The SHA-256 of a split's file; of monthly files, that of their hashes in order.

    Raises FileNotFoundError if the split is absent.
    """
    hashes = [file_sha256(path) for path in split_files(dataset, split)]
    if not hashes:
        raise FileNotFoundError(split_path(dataset, split))
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def dataset_id(dataset: Path) -> str:
    """The id in the data set's manifest; the folder's name for a folder without one."""
    manifest = dataset / "manifest.json"
    if not manifest.is_file():
        return dataset.name
    return str(json.loads(manifest.read_text(encoding="utf-8")).get("dataset_id", dataset.name))


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
